"""Validate user arguments and convert them to what the native code expects."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _native

Codes = NDArray[np.uint8]

Progress = Callable[[int, int], object]
"""Called with the items that are done and the items in all."""

COPY_LIMIT = 64 * 2**20
"""Bytes of database codes that are copied, at most, if their rows do not lie one after the other in memory."""

WIDEST = 8191
"""Bytes of the widest code whose distances the engine counts, in 16 bits."""


def as_array(name: str, value: Any) -> NDArray[Any]:
    """An array-like as an array; tensors of torch are detached and copied to memory, bfloat16 becomes float32.

    Raises:
        TypeError, ValueError: no array-like; a masked array with masked entries.
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ndarray) and np.any(getattr(value, "mask", False)):
        raise ValueError(
            f"{name}: expected an array without masked entries, got {np.sum(value.mask)} of them; "  # type: ignore[attr-defined]
            f"use {name}.filled(value), or leave these items out"
        )
    try:
        return np.asarray(_on_host(value))
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # such as lists whose rows differ in length
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name}: expected an array-like; numpy could not convert it: {error}") from error


def _on_host(value: Any) -> Any:
    """A tensor as numpy takes it, or a list of tensors; anything else unchanged."""
    if isinstance(value, (list, tuple)) and value and is_tensor(value[0]):
        return [_on_host(each) for each in value]
    if not is_tensor(value):
        return value
    tensor = value.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def is_tensor(value: Any) -> bool:
    """Whether a value has the methods of a torch tensor, which has to be detached and moved before numpy takes it."""
    return hasattr(value, "detach") and hasattr(value, "cpu")


# Codes


def code_pair(
    query_codes: NDArray[Any], db_codes: NDArray[Any], names: tuple[str, str] = ("query_codes", "db_codes")
) -> tuple[Codes, Codes]:
    """(q, bytes) and (n, bytes), C-contiguous, of one width. A single (bytes,) query is a batch of one."""
    query_codes = as_array(names[0], query_codes)
    if query_codes.ndim == 1 and query_codes.dtype == np.uint8:
        query_codes = query_codes[None, :]
    queries = _rows(names[0], query_codes, copy_limit=None)
    database = _rows(names[1], as_array(names[1], db_codes), copy_limit=COPY_LIMIT)
    if queries.shape[1] != database.shape[1]:
        raise ValueError(
            f"{names[0]}: expected {database.shape[1]} bytes per code as in {names[1]}, got {queries.shape[1]}"
        )
    _refuse_wider(names[0], queries)
    return queries, database


def codes_to_scan(name: str, codes: NDArray[Any]) -> Codes:
    """(n, bytes), C-contiguous, of a width that the engine takes; copied only where that is little."""
    database = _rows(name, as_array(name, codes), copy_limit=COPY_LIMIT)
    _refuse_wider(name, database)
    return database


def codes_matrix(name: str, codes: NDArray[Any]) -> Codes:
    """(n, bytes), C-contiguous, of any size."""
    return _rows(name, as_array(name, codes), copy_limit=None)


def codes_of_bits(codes: Any, bits: Any, *, bitorder: str = "big") -> tuple[Codes, int]:
    """(n, ceil(bits / 8)) with 0 in the bits after the last one, and the number of bits."""
    rows, count = codes_matrix("codes", codes), whole_number("bits", bits, 1)
    if rows.shape[1] != (count + 7) // 8:
        raise ValueError(f"codes: expected {(count + 7) // 8} bytes for {count} bits, got {rows.shape[1]}")
    padding = 0xFF >> (count % 8) if bitorder == "big" else 0xFF & ~((1 << count % 8) - 1)
    if count % 8 and (rows[:, -1] & padding).any():
        raise ValueError(
            f"codes: expected 0 in the bits after bit {count - 1}, got 1; "
            f"they have another length or bit order than bits={count}, bitorder={bitorder!r}"
        )
    return rows, count


def _rows(name: str, codes: NDArray[Any], *, copy_limit: int | None) -> Codes:
    if codes.dtype != np.uint8:
        _refuse_kind(name, codes)
    if codes.ndim != 2 or codes.shape[1] == 0:
        raise ValueError(f"{name}: expected (n, bytes) with at least 1 byte per code, got {codes.shape}")
    if not codes.flags.c_contiguous:
        if copy_limit is not None and codes.nbytes > copy_limit:
            raise ValueError(
                f"{name}: expected C-contiguous codes, got {codes.nbytes} bytes with strides {codes.strides}, "
                f"too large to copy unasked; use numpy.ascontiguousarray({name}) once"
            )
        codes = np.ascontiguousarray(codes)
    return codes if codes.dtype == np.uint8 else codes.view(np.uint8)


def _refuse_wider(name: str, codes: Codes) -> None:
    if codes.shape[1] > WIDEST:
        raise ValueError(f"{name}: expected at most {WIDEST} bytes per code, got {codes.shape[1]}")


def _refuse_kind(name: str, codes: NDArray[Any]) -> None:
    """Raise unless these are (n, words) of unsigned words in the byte order of the machine."""
    if codes.dtype.kind == "u" and not codes.dtype.isnative:
        raise ValueError(
            f"{name}: expected words in the byte order of this machine, got {codes.dtype.str}; use "
            f"{name}.astype({name}.dtype.newbyteorder('=')) for the same numbers, {name}.view(np.uint8) for the bytes"
        )
    if codes.dtype.kind == "u" and codes.ndim == 2:
        return
    if codes.dtype.kind == "u":
        raise ValueError(
            f"{name}: expected (n, words) for {codes.dtype} words, got {codes.shape}, which may be one code or many; "
            f"use {name}[None, :] or {name}[:, None]"
        )
    raise TypeError(f"{name}: expected packed uint8 codes, got {codes.dtype}; {_way_to_codes(name, codes)}")


def _way_to_codes(name: str, values: NDArray[Any]) -> str:
    """What turns values of another kind into codes; signed words, as databases store them, are codes already."""
    if values.dtype.kind != "i" or ((values >= -1) & (values <= 1)).all():
        return "vtsearch.pack turns features or bits into codes"
    rows = "[:, None]" if values.ndim == 1 else ""
    signed = f"use {name}.view(np.uint{8 * values.dtype.itemsize}){rows} if these are codes in signed words"
    if values.dtype.itemsize > 1 and ((values >= 0) & (values <= 255)).all():
        return f"use np.asarray({name}, dtype=np.uint8) if each number is a byte; {signed}"
    return signed


def matrix_of_values(values: ArrayLike) -> NDArray[Any]:
    """(n, bits) numbers."""
    array = as_array("values", values)
    if array.dtype.kind not in "fbiu":
        raise TypeError(f"values: expected float, bool or 0/1 integers, got {array.dtype}")
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"values: expected (n, bits) with at least 1 bit, got {array.shape}")
    return array


def check_values(array: NDArray[Any]) -> None:
    """Refuse NaN, signs of which some are 0, and integers other than 0 and 1."""
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError("values: expected features without NaN, got NaN; a model that gives NaN did not train")
    if are_signs_and_zeros(array):
        raise ValueError(
            "values: expected features or signs, got -1, 0 and 1 only, where 0 is no sign; "
            "use vtsearch.pack(values > 0) for 0 as bit 0, vtsearch.pack(values >= 0) for 0 as bit 1"
        )
    if array.dtype.kind in "iu" and not is_binary(array):
        signs = array.dtype.kind == "i" and np.isin(array, (-1, 1)).all()
        repair = "signs -1 and 1" if signs else f"integers from {array.min()} to {array.max()}"
        raise ValueError(f"values: expected integers 0 and 1, got {repair}; use vtsearch.pack(values > 0)")


def are_signs_and_zeros(array: NDArray[Any]) -> bool:
    """Whether floats are -1, 0 and 1 only, with both -1 and 0: signs of features of which some are exactly 0."""
    if array.dtype.kind != "f" or len(array) == 0 or not (np.sign(array[0]) == array[0]).all():
        return False
    return bool((array == 0).any() and (array == -1).any() and np.isin(array, (-1, 0, 1)).all())


def is_binary(array: NDArray[Any]) -> bool:
    """Whether all values are 0 or 1."""
    return array.dtype.kind == "b" or bool(((array == 0) | (array == 1)).all())


# Numbers and choices


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """An int, or a numpy integer, from ``least`` to ``most``."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError as error:  # an array of several
        raise TypeError(f"{name}: expected an int, got {value!r}") from error
    if number < least:
        raise ValueError(f"{name}: expected at least {least}, got {number}")
    if most is not None and number > most:
        raise ValueError(f"{name}: expected at most {most}, got {number}")
    return number


def checked_positions(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """(m,) int64."""
    array = as_array(name, values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and len(array)):
        raise TypeError(f"{name}: expected integers (m,), got {array.dtype} {array.shape}")
    return np.asarray(np.minimum(array, np.iinfo(np.int64).max).astype(np.int64))


def cut_off(k: Any, n: int) -> int:
    """Positions that count: k of at least 1; None, or more than there are, means all n."""
    return n if k is None else min(whole_number("k", k, 1), n)


def checked_radius(radius: Any, farthest: int) -> int:
    """A radius of at least 0, at most the largest distance."""
    return min(whole_number("radius", radius, 0), farthest)


def open_share(name: str, value: Any) -> float:
    """A number between 0 and 1, neither of them."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number between 0 and 1, got {value!r}")
    if not 0 < value < 1:
        raise ValueError(f"{name}: expected a number between 0 and 1, such as 0.95, got {value}")
    return float(value)


def thread_count(threads: Any) -> int:
    """Threads to use; None means the CPUs that this process may use."""
    return available_cpus() if threads is None else min(whole_number("threads", threads, 1), sys.maxsize)


def available_cpus() -> int:
    """Number of CPUs that this process may use, by its affinity mask where the system has one."""
    return _native.default_threads()


def choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def score_vector(name: str, scores: ArrayLike, least: int) -> NDArray[np.float64]:
    """(q,) finite float64, at least ``least`` of them."""
    array = as_array(name, scores)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected numbers (q,), got {array.dtype} {array.shape}")
    if array.ndim != 1:
        raise ValueError(f"{name}: expected (q,), one for each query, got {array.shape}")
    if len(array) < least:
        raise ValueError(f"{name}: expected at least {least}, one for each query, got {len(array)}")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        strange = values[~np.isfinite(values)]
        raise ValueError(f"{name}: expected finite numbers, got {strange[0]} ({len(strange)} of {len(values)})")
    return values


def checked_progress(progress: Any) -> Progress | None:
    """None, or a function."""
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: expected a function of items done and items in all, got {progress!r}")
    return cast("Progress | None", progress)


def check_out(
    name: str, out: Any, dtypes: tuple[type[np.generic], ...], shape: tuple[int, int], *inputs: NDArray[Any]
) -> None:
    """Refuse an array that cannot be filled with results of a shape, or that shares memory with an input.

    Raises:
        TypeError: no array, or of another dtype.
        ValueError: another shape; rows with gaps; memory that is read-only, not aligned or an input's.
    """
    names = " or ".join(np.dtype(each).name for each in dtypes)
    if not isinstance(out, np.ndarray) or out.dtype not in dtypes:
        raise TypeError(f"{name}: expected an array of {names}, got {getattr(out, 'dtype', type(out).__name__)}")
    if out.shape != shape:
        raise ValueError(f"{name}: expected {shape}, got {out.shape}")
    if not (out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
        raise ValueError(f"{name}: expected a C-contiguous, aligned array that can be written to")
    if any(np.may_share_memory(out, each) for each in inputs):
        raise ValueError(f"{name}: expected memory apart from that of the codes, got an array that shares it")


def distance_dtypes(dtype: Any, farthest: int) -> tuple[type[np.generic], ...]:
    """The dtypes that an array of distances may have: the one asked for, or any that holds them.

    Raises:
        TypeError: another one.
    """
    fitting: tuple[type[np.generic], ...] = (np.int32, np.uint16, np.uint8)[: 3 if farthest < 2**8 else 2]
    if dtype is None:
        return fitting
    try:
        chosen = np.dtype(dtype)
    except TypeError:
        chosen = np.dtype(object)
    if chosen not in fitting:
        names = ", ".join(np.dtype(each).name for each in fitting)
        raise TypeError(f"dtype: expected one of {names} for distances of up to {farthest}, got {dtype}")
    return (chosen.type,)
