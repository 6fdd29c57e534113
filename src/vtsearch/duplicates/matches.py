"""The old items that new ones match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database, _native
from vtsearch._database import Database
from vtsearch._validate import Codes, Progress
from vtsearch.duplicates.items import windows_of

_PARTS_OF_A_RANGE = 8


def match(
    items: Codes, old: Database, reach: int, threads: int, report: Progress | None
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(n,) distances and indices of the nearest old items, -1 for none; equal codes are searched for once."""
    n, (window, release) = len(items), windows_of(items)
    told = None if report is None else lambda done, total: report(done * n // max(total, 1), n)
    first = _native.deduplicate(items, 0, window, 1, None, release, threads)
    distances, matches = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int64)
    for start in range(0, n, window):
        stop = min(start + window, n)
        distinct = start + np.flatnonzero(first[start:stop] == np.arange(start, stop))
        queries = items[start:stop] if len(distinct) == stop - start else items[distinct]
        scan = _database.Scan(old, len(queries), _database.stage(told, start // window, -(-n // window)))
        distances[distinct], matches[distinct] = _nearest(queries, scan, reach, threads)
        if release is not None:
            release(start, stop)
    return distances[first], matches[first]


def _nearest(
    queries: Codes, scan: _database.Scan, radius: int, threads: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(q,) distance and index of the nearest item within the radius, the first of several; -1 for none."""
    limits, indices = np.full(len(queries), radius + 1, dtype=np.int32), np.full(len(queries), -1)
    for first, codes in _joined_ranges(scan):
        distances, found = _native.nearest_below(queries, codes, limits, True, threads)
        nearer = found >= 0
        limits[nearer], indices[nearer] = distances[nearer], found[nearer] + first
    limits[indices < 0] = -1
    return limits, indices


def _joined_ranges(scan: _database.Scan) -> Iterator[tuple[int, Codes]]:
    """The first item and the codes of each range, short ones joined: tables are of use for many items only."""
    waiting: list[_database.Range] = []
    for each in scan:
        waiting.append(each)
        if sum(one.codes.nbytes for one in waiting) >= _database.RANGE_BYTES // _PARTS_OF_A_RANGE:
            yield _as_one(waiting)
            waiting = []
    if waiting:
        yield _as_one(waiting)


def _as_one(ranges: Sequence[_database.Range]) -> tuple[int, Codes]:
    first, codes = ranges[0].first, [each.codes for each in ranges]
    return first, codes[0] if len(codes) == 1 else np.concatenate(codes)
