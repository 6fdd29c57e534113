"""Collectives over processes: batches gathered with their gradients, and means."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

_EQUAL = ContextVar("equal batches", default=False)


def gather(part: Tensor) -> Tensor:
    """The rows of every process, in the order of their ranks; batches may differ in length.

    Gradients flow back to the process that a row came from, summed over the losses of all processes. All of them must
    call this, and go backward if their rows need a gradient.
    """
    if number_of_processes() == 1:
        return part
    return _gathered(part, _lengths(part))


def gather_batch(part: Tensor) -> Tensor:
    """As ``gather``, for a part whose number of rows follows from that of the batch.

    Within ``equal_batches`` no process asks the others for their number, an answer that a GPU would have to wait for.
    """
    count = number_of_processes()
    if count == 1:
        return part
    return _gathered(part, [len(part)] * count if _EQUAL.get() else _lengths(part))


@contextmanager
def equal_batches() -> Iterator[None]:
    """The batches of all processes have equally many rows, as in a training step."""
    before = _EQUAL.set(True)
    try:
        yield
    finally:
        _EQUAL.reset(before)


def _gathered(part: Tensor, lengths: list[int]) -> Tensor:
    """The rows of every process, of these lengths."""
    gathered: Tensor = _Gather.apply(part, lengths) if part.requires_grad else _gather(part, lengths)
    return gathered


def mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """The weighted mean over all processes; the average of the returned values is the mean, also for gradients.

    Data parallelism averages gradients over processes. A process therefore divides its own weighted sum by the average
    of the processes' total weights, not by its own total: processes with more weight count for more.

    Args:
        values: any shape, this process's own.
        weights: of a shape that broadcasts to that of values, at least 0; None weighs all alike. The mean of nothing
            is 0.
    """
    weights = torch.ones_like(values) if weights is None else weights.expand_as(values)
    total = average(weights.sum())
    return (weights * values).sum() / total.clamp(min=torch.finfo(values.dtype).tiny)


def total(part: Tensor) -> Tensor:
    """The sum over all processes, each of which gets gradients from all."""
    if number_of_processes() == 1:
        return part
    from torch.distributed.nn.functional import all_reduce  # noqa: PLC0415 (not in every build of torch)

    of_all: Tensor = all_reduce(part)  # type: ignore[no-untyped-call]
    return of_all


def average(value: Tensor) -> Tensor:
    """The average of a tensor without gradient over all processes."""
    if number_of_processes() == 1:
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / number_of_processes()


def from_first(part: Tensor) -> Tensor:
    """Broadcast the tensor of rank 0 into `part`, so that all processes hold equal bits."""
    if number_of_processes() > 1:
        distributed.broadcast(part, src=0)
    return part


@torch.no_grad()
def synchronize(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors, which all processes give in the same order, by those of rank 0."""
    if number_of_processes() > 1:
        for tensor in tensors:
            tensor.copy_(from_first(tensor.contiguous()))


def processes_on_node() -> int:
    """Processes that `torchrun` or `accelerate launch` started on this machine, this one included; else 1."""
    text = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(int(text), 1) if text.isascii() and text.isdigit() else 1


def number_of_processes() -> int:
    """1 unless torch.distributed is set up."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


class _Gather(torch.autograd.Function):
    """Rows of all processes forward; backward, the gradients that all processes have for this one's rows."""

    @staticmethod
    def forward(context: Any, part: Tensor, lengths: list[int]) -> Tensor:
        context.first = sum(lengths[: distributed.get_rank()])
        context.length = len(part)
        return _gather(part, lengths)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total[context.first : context.first + context.length], None


def _lengths(part: Tensor) -> list[int]:
    length = torch.tensor([len(part)], device=part.device)
    lengths = [torch.empty_like(length) for _ in range(number_of_processes())]
    distributed.all_gather(lengths, length)
    return [int(each) for each in lengths]


def _gather(part: Tensor, lengths: list[int]) -> Tensor:
    padded = part.new_zeros(max(lengths), *part.shape[1:])
    padded[: len(part)] = part
    gathered = [torch.empty_like(padded) for _ in lengths]
    distributed.all_gather(gathered, padded)
    return torch.cat([rows[:length] for rows, length in zip(gathered, lengths, strict=True)])
