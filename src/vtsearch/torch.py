"""PyTorch operators of the engine: tensors on the CPU in, tensors out, without copies.

Importing this module registers ``torch.ops.vtsearch.pack``, ``rank`` and ``histogram``; its functions call them. Their
fake kernels keep them in one graph of ``torch.compile`` or ``torch.export``, and give the shapes of results on "meta".

There is no kernel for CUDA: a tensor on another device is refused, not copied.
``torch.library.register_kernel("vtsearch::rank", "cuda", function)`` adds one, and ``rank`` then takes its tensors.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from vtsearch import _validate, codes, ranking
from vtsearch.errors import missing_extra

try:
    import torch
    from torch import Tensor
except ModuleNotFoundError as missing:
    raise missing_extra(missing.name or "torch") from missing


class Ranking(NamedTuple):
    """Tensors (q, columns), int32 and int64, nearest first; equal distances in the order of their index."""

    distances: Tensor
    indices: Tensor


def pack(values: Tensor) -> Tensor:
    """Codes of features or bits, as of ``vtsearch.pack``: bit i of a code is ``values[:, i] > 0``.

    Args:
        values: (n, bits) float features, of which 0 and below give bit 0; or bool; or integers 0 and 1. Features that
            require a gradient are taken; the codes have none, like those of ``values > 0``.

    Returns:
        (n, ceil(bits / 8)) uint8; the bits after the last one are 0.

    Raises:
        TypeError: values that are not a tensor of numbers.
        ValueError: not (n, bits); NaN; integers other than 0 and 1; a device without a kernel.

    Example:
        >>> import torch
        >>> import vtsearch.torch
        >>> vtsearch.torch.pack(torch.tensor([[0.3, -1.2, 0.0, 2.5], [1.0, 1.0, -0.1, -0.2]]))
        tensor([[144],
                [192]], dtype=torch.uint8)
    """
    _check_tensors(values=values)
    packed: Tensor = torch.ops.vtsearch.pack(values)
    return packed


def rank(
    query_codes: Tensor,
    db_codes: Tensor,
    k: int | None = None,
    *,
    mask: Tensor | None = None,
    threads: int | None = None,
) -> Ranking:
    """The k nearest database codes of each query, nearest first, as of ``vtsearch.rank``.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, contiguous. Other strides are copied up to 64 MiB and refused
            beyond.
        k: results per query, at least 1; None, or more than there are, means all.
        mask: (n,) bool, or any other form that ``vtsearch.rank`` takes, as a tensor; other items are ignored.
        threads: upper bound; by default the CPUs that this process may use.

    Returns:
        distances int32 and indices int64, both (q, min(k, items allowed)), ordered by (distance, index).

    Raises:
        TypeError: codes or a mask that are no tensors; codes that are not uint8; k or threads that are not ints; a mask
            of another dtype.
        ValueError: widths that differ or exceed 8,191 bytes; k or threads below 1; a mask of another length; a device
            without a kernel; tensors on several devices.
        RuntimeError: a mask on the device "meta": the number of columns depends on its data.

    Example:
        >>> import torch
        >>> import vtsearch.torch
        >>> codes = vtsearch.torch.pack(torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]))
        >>> vtsearch.torch.rank(codes[:1], codes, k=1).indices
        tensor([[0]])
    """
    _check_tensors(query_codes=query_codes, db_codes=db_codes, mask=mask)
    top, most = _checked_int("k", k), _checked_int("threads", threads)
    return Ranking(*torch.ops.vtsearch.rank(query_codes, db_codes, top, mask, most))


def histogram(
    query_codes: Tensor, db_codes: Tensor, *, mask: Tensor | None = None, threads: int | None = None
) -> Tensor:
    """How many database codes lie at each distance from each query, as of ``vtsearch.histogram``.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``.
        mask: (n,) bool, or any other form that ``vtsearch.rank`` takes, as a tensor; other items are ignored.
        threads: upper bound; by default the CPUs that this process may use.

    Returns:
        (q, 8 * bytes + 1) int64; column d counts the items at distance d.

    Raises:
        TypeError: codes or a mask that are no tensors; codes that are not uint8; threads that are not an int; a mask of
            another dtype.
        ValueError: widths that differ or exceed 8,191 bytes; threads below 1; a mask of another length; a device
            without a kernel; tensors on several devices.

    Example:
        >>> import torch
        >>> import vtsearch.torch
        >>> codes = vtsearch.torch.pack(torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]]))
        >>> vtsearch.torch.histogram(codes[:1], codes)
        tensor([[1, 1, 0, 0, 1, 0, 0, 0, 0]])
    """
    _check_tensors(query_codes=query_codes, db_codes=db_codes, mask=mask)
    counts: Tensor = torch.ops.vtsearch.histogram(query_codes, db_codes, mask, _checked_int("threads", threads))
    return counts


def _check_tensors(**given: Tensor | None) -> None:
    for name, value in given.items():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(value).__name__}")


def _checked_int(name: str, value: int | None) -> int | None:
    """None, or an int as an operator takes it; a compiled function would be compiled anew for each checked number."""
    if value is None or torch.compiler.is_compiling():
        return value
    return _validate.whole_number(name, value, 1, sys.maxsize)


# The kernels: any device that has none of its own comes here


@torch.library.custom_op("vtsearch::pack", mutates_args=())
def _pack(values: Tensor) -> Tensor:
    return torch.from_numpy(codes.pack(**_arrays(values=values)))


@torch.library.custom_op("vtsearch::rank", mutates_args=())
def _rank(
    query_codes: Tensor,
    db_codes: Tensor,
    k: int | None = None,
    mask: Tensor | None = None,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    arrays = _arrays(query_codes=query_codes, db_codes=db_codes, mask=mask)
    distances, indices = ranking.rank(**arrays, k=k, threads=threads)
    return torch.from_numpy(distances), torch.from_numpy(indices)


@torch.library.custom_op("vtsearch::histogram", mutates_args=())
def _histogram(query_codes: Tensor, db_codes: Tensor, mask: Tensor | None = None, threads: int | None = None) -> Tensor:
    arrays = _arrays(query_codes=query_codes, db_codes=db_codes, mask=mask)
    return torch.from_numpy(ranking.histogram(**arrays, threads=threads))


def _arrays(**tensors: Tensor | None) -> dict[str, Any]:
    """The memory of tensors as arrays, by the name of their argument."""
    return {name: None if tensor is None else _array(name, tensor) for name, tensor in tensors.items()}


def _array(name: str, tensor: Tensor) -> Any:
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{name}: expected a tensor on the CPU, got one on {tensor.device}, which has no kernel; use {name}.cpu()"
        )
    return _validate.as_array(name, tensor)


# Shapes alone, for tensors without data


def _pack_shapes(values: Tensor) -> Tensor:
    return values.new_empty((values.shape[0], (values.shape[1] + 7) // 8), dtype=torch.uint8)


def _rank_shapes(
    query_codes: Tensor,
    db_codes: Tensor,
    k: int | None = None,
    mask: Tensor | None = None,
    threads: int | None = None,  # noqa: ARG001 (of the operator)
) -> tuple[Tensor, Tensor]:
    _check_devices(query_codes=query_codes, db_codes=db_codes, mask=mask)
    columns = db_codes.shape[0] if k is None else torch.sym_min(k, db_codes.shape[0])
    if mask is not None:
        columns = torch.library.get_ctx().new_dynamic_size()  # items allowed: not known before
    shape = _query_count(query_codes), columns
    return query_codes.new_empty(shape, dtype=torch.int32), query_codes.new_empty(shape, dtype=torch.int64)


def _histogram_shapes(
    query_codes: Tensor,
    db_codes: Tensor,
    mask: Tensor | None = None,
    threads: int | None = None,  # noqa: ARG001 (of the operator)
) -> Tensor:
    _check_devices(query_codes=query_codes, db_codes=db_codes, mask=mask)
    bins = 8 * db_codes.shape[1] * db_codes.itemsize + 1
    return query_codes.new_empty((_query_count(query_codes), bins), dtype=torch.int64)


def _query_count(query_codes: Tensor) -> int:
    return 1 if query_codes.dim() == 1 else query_codes.shape[0]


def _check_devices(*, query_codes: Tensor, **others: Tensor | None) -> None:
    """Refuse tensors on several devices: beside one without data, PyTorch would return uninitialized memory."""
    for name, tensor in others.items():
        if tensor is not None and tensor.device != query_codes.device:
            raise ValueError(
                f"{name}: expected a tensor on {query_codes.device} as query_codes, got one on {tensor.device}"
            )


for _operator, _shapes in (("pack", _pack_shapes), ("rank", _rank_shapes), ("histogram", _histogram_shapes)):
    torch.library.register_fake(f"vtsearch::{_operator}", _shapes)
