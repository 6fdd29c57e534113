"""A database in ranges: larger than memory, in one pass of all queries, with progress; and what they find, merged."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vtsearch import _native, _pages
from vtsearch._validate import Codes, Mask, Progress

Lists = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]
"""Offsets, distances, indices."""
Rows = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Distances and indices, (q, columns)."""

RANGE_BYTES = 256 * 2**20
"""Codes of a file that are scanned at a time: what is in memory of it. Smaller files stay there whole."""

REPORTED_PAIRS = 10**10
"""Pairs of a query and an item that are compared between two calls of ``progress``: about a second of one core."""

FEWEST_REPORTED = 2**22
"""Items between two calls of ``progress``, at least: below it, putting the ranges together would be felt."""

_MERGED_BYTES = 2**20
_INDEX_BITS = np.uint64(48)
_INDEX_MASK = np.uint64(2**48 - 1)


class Range(NamedTuple):
    """Items first .. stop - 1 of a database."""

    first: int
    stop: int
    codes: Codes

    def renumber(self, indices: NDArray[np.int64]) -> None:
        """Turn numbers inside this range into those of the whole database, in place."""
        if self.first != 0:
            indices += self.first


class Scan:
    """One pass over a database whose codes stand in one array or in several: iterating gives its ranges, in order.

    A database in memory is one range, unless there is progress to tell. Files larger than RANGE_BYTES are cut, so that
    all queries meet a range while it is in memory, and let go of as the iteration goes on.
    """

    def __init__(
        self, parts: Sequence[Codes], queries: int, progress: Progress | None = None, *, beside: int = 0
    ) -> None:
        """``beside``: bytes that the caller makes of each item while its range is scanned."""
        self.items = sum(map(len, parts))
        self._progress = progress
        self._too_large = sum(codes.nbytes for codes in parts) > RANGE_BYTES
        in_files = self._too_large and any(map(_pages.is_mapped, parts))
        length = self.items
        if in_files or progress is not None:
            length = RANGE_BYTES // (parts[0].shape[1] + beside)
        if progress is not None:
            length = min(length, max(REPORTED_PAIRS // max(queries, 1), FEWEST_REPORTED))
        self._ranges = list(_cut(parts, max(-(-length // 8), 1) * 8))  # whole bytes of a packed mask

    @property
    def whole(self) -> bool:
        """Whether there is one range only."""
        return len(self._ranges) == 1

    def __iter__(self) -> Iterator[Range]:
        for each in self._ranges:
            try:
                yield each
            finally:
                if self._too_large:
                    _pages.release(each.codes)
            if self._progress is not None:
                self._progress(each.stop, self.items)


def _cut(parts: Sequence[Codes], length: int) -> Iterator[Range]:
    first = 0
    for codes in parts:
        for start in range(0, len(codes), length):
            piece = codes[start : start + length]
            yield Range(first + start, first + start + len(piece), piece)
        first += len(codes)
    if first == 0:
        yield Range(0, 0, parts[0])


def stage(progress: Progress | None, number: int, stages: int) -> Progress | None:
    """The progress of one of several passes over the same items: an item counts a share in each."""
    if progress is None:
        return None
    return lambda done, total: progress((number * total + done) // stages, total)


# What the engine answers, over all ranges


def rank(queries: Codes, scan: Scan, k: int, mask: Mask | None, threads: int) -> Rows:
    """The k nearest of each query, ordered by (distance, index)."""

    def found() -> Iterator[Rows]:
        for each in scan:
            top = min(k, len(each.codes))
            distances, indices = _native.rank(queries, each.codes, top, _allowed(mask, each), threads)
            each.renumber(indices)
            yield distances, indices

    return functools.reduce(lambda before, here: _nearest(before, here, k), found())


def within(queries: Codes, scan: Scan, radius: int, mask: Mask | None, threads: int) -> Lists:
    """All that lies within the radius of each query, ordered by (distance, index)."""
    found: list[Lists] = []
    for each in scan:
        offsets, distances, indices = _native.within(queries, each.codes, radius, _allowed(mask, each), threads)
        each.renumber(indices)
        found.append((offsets, distances, indices))
    return found[0] if len(found) == 1 else _joined(found)


def count(queries: Codes, scan: Scan, radius: int, mask: Mask | None, threads: int) -> NDArray[np.int64]:
    """(q,) items within the radius."""
    found = (_native.count(queries, each.codes, radius, _allowed(mask, each), threads) for each in scan)
    return functools.reduce(operator.add, found)


def histogram(queries: Codes, scan: Scan, mask: Mask | None, threads: int) -> NDArray[np.int64]:
    """(q, 8 * bytes + 1) items at each distance."""
    found = (_native.histogram(queries, each.codes, _allowed(mask, each), threads) for each in scan)
    return functools.reduce(operator.add, found)


def _allowed(mask: Mask | None, items: Range) -> NDArray[np.uint8] | None:
    return None if mask is None else mask.bits(items.first, items.stop)


def _nearest(before: Rows, here: Rows, k: int) -> Rows:
    """The first k of two rankings, in blocks of queries."""
    columns = min(k, before[0].shape[1] + here[0].shape[1])
    queries = len(before[0])
    distances, indices = np.empty((queries, columns), dtype=np.int32), np.empty((queries, columns), dtype=np.int64)
    step = max(1, _MERGED_BYTES // (16 * max(columns, 1)))
    for start in range(0, queries, step):
        rows = slice(start, start + step)
        keys = np.concatenate([_keys(before[0][rows], before[1][rows]), _keys(here[0][rows], here[1][rows])], axis=1)
        keys.sort(axis=1, kind="stable")  # two runs in order: merged, not sorted anew
        distances[rows], indices[rows] = _unpacked(keys[:, :columns])
    return distances, indices


def _joined(parts: Sequence[Lists]) -> Lists:
    """The lists of each query as one list."""
    offsets = np.sum([part[0] for part in parts], axis=0)
    distances, indices = np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.int64)
    for q in range(len(offsets) - 1):
        pieces = [(part, slice(part[0][q], part[0][q + 1])) for part in parts]
        keys = np.concatenate([_keys(part[1][piece], part[2][piece]) for part, piece in pieces])
        keys.sort(kind="stable")
        row = slice(offsets[q], offsets[q + 1])
        distances[row], indices[row] = _unpacked(keys)
    return offsets, distances, indices


def _keys(distances: NDArray[np.int32], indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One number in the order of (distance, index): distances have 16 bits, indices at most 48."""
    return distances.astype(np.uint64) << _INDEX_BITS | indices.astype(np.uint64)


def _unpacked(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return keys >> _INDEX_BITS, keys & _INDEX_MASK
