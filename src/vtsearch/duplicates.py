"""Groups of near-duplicate codes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database, _native, _pages, _validate
from vtsearch._database import Database

_ALL_PAIRS = 2**62
_COPIED_BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Items in groups: every item is in one, most are alone in theirs."""

    representatives: NDArray[np.int64]
    """(n,): the smallest index of each item's group."""

    def kept(self) -> NDArray[np.int64]:
        """Ascending indices of the first item of every group: no two of these are within the radius."""
        return np.flatnonzero(self._is_kept())

    def redundant(self) -> NDArray[np.int64]:
        """Ascending indices of all other items: those that could go."""
        return np.flatnonzero(~self._is_kept())

    def groups(self) -> list[NDArray[np.int64]]:
        """The groups of more than one item, each as ascending indices, in the order of their first ones."""
        sizes = np.bincount(self.representatives)
        items = np.flatnonzero(sizes[self.representatives] > 1)
        order = np.argsort(self.representatives[items], kind="stable")
        return np.split(items[order], np.cumsum(sizes[sizes > 1])[:-1]) if len(items) else []

    def _is_kept(self) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = self.representatives == np.arange(len(self.representatives))
        return kept


def deduplicate(
    codes: NDArray[Any] | Database,
    radius: int,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Duplicates:
    """Groups of near-duplicates: items that a chain of items links, each within the radius of the next.

    The groups are exact, the same for any order of the items and any number of threads. Chains may be long: where a
    radius is too large, many items come together that are not alike.

    Codes that agree in one of radius + 1 substrings are compared, or all pairs where that takes less time: a million
    codes of 64 bits take half a second at radius 4 on one core with AVX-512, half a minute at radius 12; up to 25 times
    as long where most of the pairs are near. Equal codes cost nothing. Memory is 8 bytes an item for the result and
    about 16 more on the way, and a copy of the codes, however many pairs are near. Of a ``np.memmap`` of more than 256
    MiB all pairs are compared, in windows of that size, two at a time, and without a copy; opened with mode "r", a
    window leaves memory when it is done with.

    Args:
        codes: (n, bytes) uint8, packed, C-contiguous; a memory map is read in place. Other strides are copied up to
            64 MiB and refused beyond. (n, words) of uint16, uint32 or uint64 is read as its bytes.
            Or a ``Database``: the codes of several parts are first copied to one temporary file.
        radius: largest distance of a step, in bits; at least 0. With 0, groups are equal codes.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all; `done` is scaled by the fraction of pairs compared.

    Returns:
        representatives int64 (n,): the smallest index of each item's group; ``groups()``, ``kept()`` and
        ``redundant()`` give the same as indices.

    Raises:
        TypeError: codes that are not uint8; radius or threads that are not ints; progress that is not a function.
        ValueError: codes that are not (n, bytes) or exceed 8,191 bytes, a radius below 0, threads below 1.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1]])
        >>> found = vtsearch.deduplicate(codes, radius=1)
        >>> found.representatives, found.groups(), found.kept()
        (array([0, 1, 0, 0]), [array([0, 2, 3])], array([0, 1]))

    Source: Florek et al., "Sur la liaison et la division des points d'un ensemble fini", Colloquium Mathematicum 1951
    (single linkage); Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012
    (substrings); Galler and Fisher, "An Improved Equivalence Algorithm", CACM 1964 (groups as trees).
    """
    database = codes if isinstance(codes, Database) else Database(_validate.codes_to_scan("codes", codes))
    if database.mask is not None:
        raise ValueError("codes: expected a database without a mask, got one with a mask")
    reach, count = _validate.checked_radius(radius, 8 * database.width), _validate.thread_count(threads)
    report = _validate.checked_progress(progress)
    if len(database.parts) == 1:
        return _deduplicate(database.parts[0], reach, count, report)
    with tempfile.TemporaryDirectory(prefix="vtsearch-") as folder:
        joined = _join(database, Path(folder) / "codes.npy")
        try:
            return _deduplicate(joined, reach, count, report)
        finally:
            del joined  # Windows deletes no file that is mapped


def _deduplicate(items: NDArray[np.uint8], reach: int, threads: int, report: _validate.Progress | None) -> Duplicates:
    n, window = len(items), max(_database.RANGE_BYTES // items.shape[1], 1)
    from_file = window < n and _pages.is_mapped(items)
    representatives = _native.deduplicate(
        items,
        reach,
        window if from_file else max(n, 1),
        _ALL_PAIRS if report is None else _database.REPORTED_PAIRS * threads,
        None if report is None else lambda done: report(done, n),
        (lambda first, stop: _pages.release(items[first:stop])) if from_file else None,
        threads,
    )
    if report is not None:
        report(n, n)
    return Duplicates(representatives)


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
