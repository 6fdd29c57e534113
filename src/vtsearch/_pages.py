"""Files mapped into memory: which arrays are views of one, and letting go of what has been read."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether an array is a ``np.memmap``, or a view of one."""
    return _mapping(array) is not None


def release(array: NDArray[Any]) -> None:
    """Let go of the pages that a view of a read-only ``np.memmap`` occupies; any other array stays as it is.

    They no longer count as memory of this process, and come back from the file when they are next touched. A file
    that may be written to is left alone: a page that was changed under mode "c" exists in memory only.
    """
    mapping = _mapping(array)
    if mapping is None or array.size == 0 or not memoryview(mapping).readonly or not hasattr(mmap, "MADV_DONTNEED"):
        return
    low, high = np.lib.array_utils.byte_bounds(array)
    start = low - np.lib.array_utils.byte_bounds(np.frombuffer(mapping, dtype=np.uint8))[0]
    first_page = start // mmap.PAGESIZE * mmap.PAGESIZE
    with suppress(OSError):  # pages that someone locked stay
        mapping.madvise(mmap.MADV_DONTNEED, first_page, start - first_page + high - low)


def _mapping(array: NDArray[Any]) -> mmap.mmap | None:
    """What a ``np.memmap`` behind an array holds. Memory without one may be anonymous: never ours to let go of."""
    holder: object = array
    through_file = False
    while isinstance(holder, np.ndarray):
        through_file = through_file or isinstance(holder, np.memmap)
        holder = holder.base
    return holder if through_file and isinstance(holder, mmap.mmap) else None
