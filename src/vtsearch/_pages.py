"""Memory-mapped arrays: detection, and release of their pages."""

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
    """Release the resident pages of a view of a read-only ``np.memmap``; other arrays are not changed.

    The next access reads them from the file again. Writable maps are skipped: a page changed under mode "c" exists in
    memory only.
    """
    mapping = _mapping(array)
    if mapping is None or array.size == 0 or not memoryview(mapping).readonly or not hasattr(mmap, "MADV_DONTNEED"):
        return
    low, high = np.lib.array_utils.byte_bounds(array)
    start = low - np.lib.array_utils.byte_bounds(np.frombuffer(mapping, dtype=np.uint8))[0]
    first_page = start // mmap.PAGESIZE * mmap.PAGESIZE
    with suppress(OSError):  # locked pages stay resident
        mapping.madvise(mmap.MADV_DONTNEED, first_page, start - first_page + high - low)


def _mapping(array: NDArray[Any]) -> mmap.mmap | None:
    """The mmap of a ``np.memmap`` behind an array, or None; other memory may be anonymous and is never released."""
    holder: object = array
    through_file = False
    while isinstance(holder, np.ndarray):
        through_file = through_file or isinstance(holder, np.memmap)
        holder = holder.base
    return holder if through_file and isinstance(holder, mmap.mmap) else None
