"""Searches in which every query may find other items, on top of the shared scans: groups one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database
from vtsearch._database import Scan
from vtsearch._exclusions import Excluded
from vtsearch._queries import Lists, Rows
from vtsearch._selection import Group, Selection
from vtsearch._validate import Progress, check_out, cut_off

_PAIR_BYTES = 2**22

Answer = TypeVar("Answer")
Scalar = TypeVar("Scalar", bound=np.generic)


def rank_into(out: Rows, selection: Selection, k: Any, threads: int, progress: Progress | None) -> Rows:
    """The k nearest of each query, ordered by (distance, index), in the arrays given."""
    _check_rows(out, selection, k)
    distances, indices = rank(selection, k, threads, progress, out)
    if distances is not out[0]:
        out[0][...], out[1][...] = distances, indices
    return out


def _check_rows(out: Any, selection: Selection, k: Any) -> None:
    if not isinstance(out, tuple | list) or len(out) != 2:
        raise TypeError(f"out: expected distances and indices, two arrays, got {type(out).__name__}")
    columns = min(selection.columns(k), selection.database.allowed())
    codes = selection.queries.codes, *selection.database.parts
    for name, array, dtype, other in (("distances", out[0], np.int32, out[1]), ("indices", out[1], np.int64, out[0])):
        check_out(f"out's {name}", array, (dtype,), (len(selection.queries), columns), *codes, np.asarray(other))


def rank(selection: Selection, k: Any, threads: int, progress: Progress | None, out: Rows | None = None) -> Rows:
    """The k nearest of each query, ordered by (distance, index), in checked arrays ``out`` if one scan answers all."""
    queries, database, masks, excluded = selection
    if masks is None and excluded is None:  # the common case, without the calls of the others: it takes microseconds
        scan = Scan(database, len(queries), progress)
        return _database.scan_rank(queries, scan, cut_off(k, len(database)), threads, out)
    if masks is not None or selection.excludes_many(cut_off(k, len(database))):
        return _rank_masked(selection, k, threads, progress)
    columns = selection.columns(k)

    def answer(group: Group, report: Progress | None) -> Rows:
        distances, indices, kept = ranked(group, columns, threads, report)
        if kept is None:
            return distances, indices
        kept &= np.cumsum(kept, axis=1) <= columns
        shape = len(kept), columns
        return distances[kept].reshape(shape), indices[kept].reshape(shape)

    return stacked_rows(list(each_group(selection, answer, progress)))


def _rank_masked(selection: Selection, k: Any, threads: int, progress: Progress | None) -> Rows:
    """The k nearest under masks of the queries: what these allow is only counted if some row is short."""
    top = cut_off(k, len(selection.database))

    def answer(group: Group, report: Progress | None) -> Rows:
        return _database.scan_rank(group.queries, group.scan(report), top, threads)

    distances, indices = stacked_rows(list(each_group(selection, answer, progress, masked=True)))
    if not distances.size or distances[:, -1].max() < selection.queries.beyond:
        return distances, indices
    columns = selection.columns(k)
    return distances[:, :columns].copy(), indices[:, :columns].copy()


def ranked(
    group: Group, k: int, threads: int, progress: Progress | None
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_] | None]:
    """The k nearest of each query and as many more as one excludes, and which to keep; None means all."""
    excluded = group.excluded
    top = k if excluded is None else min(k + excluded.most(), len(group.database))
    scan = group.scan(progress)
    distances, indices = _database.scan_rank(group.queries, scan, top, threads)
    if group.masks is not None:
        return distances, indices, distances < group.queries.beyond  # the others fill short rows
    if excluded is None:
        return distances, indices, None
    kept = np.ones(indices.shape, dtype=np.bool_)
    for items in excluded.columns():
        kept &= indices != items[:, None]
    return distances, indices, kept


def within(selection: Selection, radius: int, threads: int, progress: Progress | None) -> Lists:
    """All items within the radius of each query, ordered by (distance, index)."""

    def answer(group: Group, report: Progress | None) -> Lists:
        scan = group.scan(report)
        found = _database.scan_within(group.queries, scan, radius, threads)
        return found if group.excluded is None else _without(found, group.excluded)

    return joined(
        list(each_group(selection, answer, progress, masked=selection.excludes_many(len(selection.database))))
    )


def count(selection: Selection, radius: int, threads: int, progress: Progress | None) -> NDArray[np.int64]:
    """(q,) items within the radius."""

    def answer(group: Group, report: Progress | None) -> NDArray[np.int64]:
        scan = group.scan(report)
        found = _database.scan_count(group.queries, scan, radius, threads)
        if group.excluded is None:
            return found
        owners, _, distances = excluded_pairs(group)
        return found - np.bincount(owners[distances <= radius], minlength=len(found))

    return stacked(list(each_group(selection, answer, progress)))


def histogram(selection: Selection, threads: int, progress: Progress | None) -> NDArray[np.int64]:
    """(q, largest distance + 1) items at each distance."""

    def answer(group: Group, report: Progress | None) -> NDArray[np.int64]:
        scan = group.scan(report)
        counts = _database.scan_histogram(group.queries, scan, threads)
        if group.excluded is not None:
            owners, _, distances = excluded_pairs(group)
            np.subtract.at(counts, (owners, distances), 1)
        return counts

    return stacked_columns(list(each_group(selection, answer, progress)))


def each_group(
    selection: Selection,
    answer: Callable[[Group, Progress | None], Answer],
    progress: Progress | None,
    *,
    masked: bool = False,
) -> Iterator[Answer]:
    """The answers of all groups, each of which reports its share of the progress."""
    if selection.shared:  # without the microseconds of the others
        yield answer(selection.together(), progress)
        return
    groups = -(-len(selection.queries) // selection.group_length(masked=masked))
    for number, group in enumerate(selection.groups(masked=masked)):
        yield answer(group, progress if groups <= 1 else _database.stage(progress, number, groups))


def excluded_pairs(group: Group) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Queries of a group, the items that they exclude, and their distances."""
    assert group.excluded is not None
    owners, items = group.excluded.owners, group.excluded.items
    distances = np.empty(len(items), dtype=np.int64)
    step = max(_PAIR_BYTES // group.database.width, 1)
    for start in range(0, len(items), step):
        block = slice(start, start + step)
        distances[block] = group.queries.distances(owners[block], group.database.codes_of(items[block]))
    return owners, items, distances


def _without(found: Lists, excluded: Excluded) -> Lists:
    """Lists of neighbors without those that their query excludes."""
    offsets, distances, indices = found
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    kept = np.ones(len(indices), dtype=np.bool_)
    for items in excluded.columns():
        kept &= indices != items[owners]
    lengths = np.bincount(owners[kept], minlength=len(offsets) - 1)
    return offsets_of(lengths), distances[kept], indices[kept]


def stacked_rows(found: Sequence[Rows]) -> Rows:
    """The rankings of several groups of queries, one after the other; those of a single one are not copied."""
    if len(found) == 1:
        return found[0]
    return stacked([distances for distances, _ in found]), stacked([indices for _, indices in found])


def joined(found: Sequence[Lists]) -> Lists:
    """The lists of several groups of queries, one after the other; those of a single one are not copied."""
    if len(found) == 1:
        return found[0]
    offsets = offsets_of(np.concatenate([np.diff(offsets) for offsets, _, _ in found]))
    return offsets, stacked([each[1] for each in found]), stacked([each[2] for each in found])


def offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of several lists begins that stand one after the other, and where the last one ends."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


def stacked(parts: Sequence[NDArray[Scalar]]) -> NDArray[Scalar]:
    """The rows of several arrays as one array; a single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def stacked_columns(parts: Sequence[NDArray[Scalar]]) -> NDArray[Scalar]:
    """The rows of several histograms as one array, narrower ones with 0 after their last column."""
    if len(parts) == 1:
        return parts[0]
    columns = max(part.shape[1] for part in parts)
    return stacked([np.pad(each, ((0, 0), (0, columns - each.shape[1]))) for each in parts])
