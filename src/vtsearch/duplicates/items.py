"""The codes to deduplicate: one array, read in windows where it is a large file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database, _pages, _validate
from vtsearch._database import Database
from vtsearch._validate import Codes, Progress

Result = TypeVar("Result")
Report = Callable[[int], object]
Release = Callable[[int, int], object]

_ALL_PAIRS = 2**62
_COPIED_BYTES = 16 * 2**20


def unmasked(name: str, codes: NDArray[Any] | Database, width: int | None = None) -> Database:
    """Validated codes, of a width if one is given, as a database.

    Raises:
        TypeError: codes that are not uint8.
        ValueError: codes of another shape or width, a database with a mask.
    """
    database = codes if isinstance(codes, Database) else Database(_validate.codes_to_scan(name, codes))
    if database.mask is not None:
        raise ValueError(f"{name}: expected a database without a mask, got one with a mask")
    if width is not None and database.width != width:
        raise ValueError(f"{name}: expected {width} bytes per code as in codes, got {database.width}")
    return database


def windows_of(items: Codes) -> tuple[int, Release | None]:
    """The items of a window, and the function that releases one of a large file."""
    n, window = len(items), max(_database.RANGE_BYTES // items.shape[1], 1)
    if window >= n or not _pages.is_mapped(items):
        return max(n, 1), None
    return window, lambda first, stop: _pages.release(items[first:stop])


def reading_of(items: Codes, report: Report | None, threads: int) -> tuple[int, int, Report | None, Release | None]:
    """What the engine is told of reading the items: window, pairs between two reports, report and release."""
    window, release = windows_of(items)
    return window, _ALL_PAIRS if report is None else _database.REPORTED_PAIRS * threads, report, release


def rising(progress: Progress | None) -> Progress | None:
    """The same function, called only if more is done than before, or all."""
    if progress is None:
        return None
    last = 0

    def report(done: int, total: int) -> None:
        nonlocal last
        if done == total or done > last:
            last = done
            progress(done, total)

    return report


def in_one_array(database: Database, compute: Callable[[Codes], Result]) -> Result:
    """What a function gives for all codes in one array: those of several parts are first copied to a temporary file."""
    if len(database.parts) == 1:
        return compute(database.parts[0])
    with tempfile.TemporaryDirectory(prefix="vtsearch-") as folder:
        joined = _join(database, Path(folder) / "codes.npy")
        try:
            return compute(joined)
        finally:
            del joined  # Windows deletes no file that is mapped


def _join(database: Database, path: Path) -> NDArray[np.uint8]:
    """A read-only memory map of a file with the codes of all parts, one after the other."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(database), database.width)}
        np.lib.format.write_array_header_1_0(file, header)
        for each in _database.Scan(database, 1):
            for start in range(0, len(each.codes), step := max(_COPIED_BYTES // database.width, 1)):
                file.write(each.codes[start : start + step].data)
    joined: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return joined
