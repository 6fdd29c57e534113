"""Searches in which every query may find other items: masks per query and exclusions, on top of the shared scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _database
from vtsearch._database import Database, Lists, Rows
from vtsearch._exclusions import Exclude, Excluded, checked_exclude
from vtsearch._masks import Mask, QueryMasks, checked_query_masks
from vtsearch._validate import Codes, Progress, as_array, cut_off

MOST_DROPPED = 16
"""Excluded items per query, at most, that are found and dropped; queries with more are searched one by one."""

_PAIR_BYTES = 2**22

Answer = TypeVar("Answer")
Scalar = TypeVar("Scalar", bound=np.generic)


class Group(NamedTuple):
    """Queries that search the same database; each may still exclude a few items, all of them allowed by the mask."""

    start: int
    stop: int
    queries: Codes
    database: Database
    excluded: Excluded | None

    def part(self, start: int, stop: int) -> Group:
        """Queries start .. stop - 1 of the group."""
        excluded = None if self.excluded is None else self.excluded.rows(start, stop)
        return Group(self.start + start, self.start + stop, self.queries[start:stop], self.database, excluded)


class Selection(NamedTuple):
    """Validated queries, the database, and the items that each query may find."""

    queries: Codes
    database: Database
    masks: QueryMasks | None = None
    """Masks that differ between queries; the database has none then."""
    excluded: Excluded | None = None

    @property
    def shared(self) -> bool:
        """Whether all queries may find the same items: one scan answers all, and nothing is dropped."""
        return self.masks is None and self.excluded is None

    def is_split(self, *, alone: bool) -> bool:
        """Whether each query is a group of its own: masks differ, or exclusions are to become masks."""
        return self.masks is not None or (alone and self.excluded is not None)

    def groups(self, *, alone: bool = False) -> Iterator[Group]:
        """Queries in order, in groups of one database: one group in all, unless masks differ between queries.

        ``alone``: no group has exclusions; they become masks, and each query a group of its own.
        """
        count = len(self.queries)
        if count == 0 or not self.is_split(alone=alone):
            yield Group(0, count, self.queries, self.database, self.excluded)
            return
        for q in range(count):
            yield Group(q, q + 1, self.queries[q : q + 1], self.database.with_mask(self._mask_of(q)), None)

    def excludes_many(self) -> bool:
        """Whether some query excludes more items than are worth finding and dropping."""
        return self.excluded is not None and self.excluded.most() > MOST_DROPPED

    def allowed(self) -> NDArray[np.int64]:
        """(q,) number of items that each query may find."""
        if self.masks is not None:
            return np.array([self._mask_of(q).count() for q in range(len(self.queries))], dtype=np.int64)
        counts = np.full(len(self.queries), self.database.allowed(), dtype=np.int64)
        return counts if self.excluded is None else counts - self.excluded.counts()

    def columns(self, k: Any) -> int:
        """Results per query for a cut-off.

        Raises:
            ValueError: a row of k that some query fills and another does not.
        """
        top = cut_off(k, len(self.database))
        if self.shared or not len(self.queries):
            return top  # a mask for all bounds every row alike
        allowed = self.allowed()
        least, most = int(allowed.min()), int(allowed.max())
        if least < min(top, most):
            raise ValueError(
                f"k: expected at most {least}, the number of items that query {int(allowed.argmin())} may find "
                f"(others up to {most}), got {k}; within gives every query a list of its own length"
            )
        return min(top, least)

    def _mask_of(self, q: int) -> Mask:
        mask = self.database.mask if self.masks is None else self.masks.of(q)
        items = np.empty(0, dtype=np.int64) if self.excluded is None else self.excluded.of(q)
        if mask is not None and not len(items):
            return mask
        allowed = np.ones(len(self.database), dtype=np.bool_) if mask is None else mask.as_bool()
        allowed[items] = False
        return Mask(allowed, len(allowed))


def select(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    *,
    names: tuple[str, str] = ("query_codes", "db_codes"),
) -> Selection:
    """Validated arguments of a search.

    Raises:
        TypeError, ValueError: codes, a mask or positions that do not fit; a mask beside a database with one.
    """
    if mask is None and exclude is None:
        return Selection(*_database.query_and_database(query_codes, db_codes, names=names))
    masks, array = None, None if mask is None else as_array("mask", mask)
    per_query = array is not None and array.ndim == 2
    queries, database = _database.query_and_database(query_codes, db_codes, None if per_query else array, names=names)
    if array is not None and per_query:
        if database.mask is not None:
            raise ValueError("mask: expected none beside a database with a mask, got both")
        masks = checked_query_masks(array, len(queries), len(database))
    if exclude is None:
        return Selection(queries, database, masks)
    excluded = checked_exclude(exclude, len(queries), len(database))
    return Selection(queries, database, masks, excluded.among(database.mask))


# Answers of all groups, one after the other


def rank(selection: Selection, k: Any, threads: int, progress: Progress | None) -> Rows:
    """The k nearest of each query, ordered by (distance, index)."""
    queries, database, masks, excluded = selection
    if masks is None and excluded is None:  # the common case, without the calls of the others: it takes microseconds
        scan = _database.Scan(database, len(queries), progress)
        return _database.scan_rank(queries, scan, cut_off(k, len(database)), threads)
    columns = selection.columns(k)

    def answer(group: Group, report: Progress | None) -> Rows:
        distances, indices, kept = ranked(group, columns, threads, report)
        if kept is None:
            return distances, indices
        kept &= np.cumsum(kept, axis=1) <= columns
        shape = len(kept), columns
        return distances[kept].reshape(shape), indices[kept].reshape(shape)

    return stacked_rows(list(each_group(selection, answer, progress, alone=selection.excludes_many())))


def ranked(
    group: Group, k: int, threads: int, progress: Progress | None
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_] | None]:
    """The k nearest of each query and as many more as one excludes, and which to keep; None means all."""
    excluded = group.excluded
    top = k if excluded is None else min(k + excluded.most(), len(group.database))
    scan = _scan(group, progress)
    distances, indices = _database.scan_rank(group.queries, scan, top, threads)
    if excluded is None:
        return distances, indices, None
    kept = np.ones(indices.shape, dtype=np.bool_)
    for items in excluded.columns():
        kept &= indices != items[:, None]
    return distances, indices, kept


def within(selection: Selection, radius: int, threads: int, progress: Progress | None) -> Lists:
    """All items within the radius of each query, ordered by (distance, index)."""
    if selection.shared:
        return _database.scan_within(selection.queries, _scan(selection, progress), radius, threads)

    def answer(group: Group, report: Progress | None) -> Lists:
        scan = _scan(group, report)
        found = _database.scan_within(group.queries, scan, radius, threads)
        return found if group.excluded is None else _without(found, group.excluded)

    return joined(list(each_group(selection, answer, progress, alone=selection.excludes_many())))


def count(selection: Selection, radius: int, threads: int, progress: Progress | None) -> NDArray[np.int64]:
    """(q,) items within the radius."""
    if selection.shared:
        return _database.scan_count(selection.queries, _scan(selection, progress), radius, threads)

    def answer(group: Group, report: Progress | None) -> NDArray[np.int64]:
        scan = _scan(group, report)
        found = _database.scan_count(group.queries, scan, radius, threads)
        if group.excluded is None:
            return found
        owners, _, distances = excluded_pairs(group)
        return found - np.bincount(owners[distances <= radius], minlength=len(found))

    return stacked(list(each_group(selection, answer, progress)))


def histogram(selection: Selection, threads: int, progress: Progress | None) -> NDArray[np.int64]:
    """(q, 8 * bytes + 1) items at each distance."""
    if selection.shared:
        return _database.scan_histogram(selection.queries, _scan(selection, progress), threads)

    def answer(group: Group, report: Progress | None) -> NDArray[np.int64]:
        scan = _scan(group, report)
        counts = _database.scan_histogram(group.queries, scan, threads)
        if group.excluded is not None:
            owners, _, distances = excluded_pairs(group)
            np.subtract.at(counts, (owners, distances), 1)
        return counts

    return stacked(list(each_group(selection, answer, progress)))


def each_group(
    selection: Selection,
    answer: Callable[[Group, Progress | None], Answer],
    progress: Progress | None,
    *,
    alone: bool = False,
) -> Iterator[Answer]:
    """The answers of all groups, each of which reports its share of the progress."""
    groups = len(selection.queries) if selection.is_split(alone=alone) else 1
    for number, group in enumerate(selection.groups(alone=alone)):
        yield answer(group, progress if groups <= 1 else _database.stage(progress, number, groups))


def excluded_pairs(group: Group) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Queries of a group, the items that they exclude, and their distances."""
    assert group.excluded is not None
    owners, items = group.excluded.owners, group.excluded.items
    distances = np.empty(len(items), dtype=np.int64)
    step = max(_PAIR_BYTES // group.database.width, 1)
    for start in range(0, len(items), step):
        block = slice(start, start + step)
        differing = group.queries[owners[block]] ^ group.database.codes_of(items[block])
        distances[block] = np.bitwise_count(differing).sum(axis=1)
    return owners, items, distances


def _scan(searched: Selection | Group, progress: Progress | None) -> _database.Scan:
    return _database.Scan(searched.database, len(searched.queries), progress)


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
