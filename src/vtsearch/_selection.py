"""Queries and the items that each may find: masks per query, exclusions, and groups that are searched together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _database
from vtsearch._database import Database, Scan
from vtsearch._exclusions import Exclude, Excluded, checked_exclude
from vtsearch._masks import Mask, QueryMasks, checked_query_masks
from vtsearch._queries import Queries, checked_weights
from vtsearch._validate import Progress, as_array, cut_off

MOST_DROPPED = 16
"""Excluded items per query that are always found and dropped; those of queries with more may become masks."""

MASK_ITEMS_PER_DROPPED = 16
"""The time to compare a result with an excluded item, in that to make masks of so many items."""

MASK_BYTES = 2**26
"""Masks of queries of one group, at most."""


class Group(NamedTuple):
    """Queries that are searched together, under the mask of the database or, in its place, one for each of them.

    Each may still exclude a few items, all of them allowed by its mask.
    """

    start: int
    stop: int
    queries: Queries
    database: Database
    masks: QueryMasks | None
    excluded: Excluded | None

    @property
    def mask(self) -> Mask | QueryMasks | None:
        """The items that the queries may find."""
        return self.database.mask if self.masks is None else self.masks

    def scan(self, progress: Progress | None, *, beside: int = 0) -> Scan:
        """A pass over the database for all queries of the group."""
        return Scan(self.database, len(self.queries), progress, masks=self.masks, beside=beside)

    def part(self, start: int, stop: int) -> Group:
        """Queries start .. stop - 1 of the group."""
        masks = None if self.masks is None else self.masks.rows(start, stop)
        excluded = None if self.excluded is None else self.excluded.rows(start, stop)
        return Group(self.start + start, self.start + stop, self.queries[start:stop], self.database, masks, excluded)


class Selection(NamedTuple):
    """Validated queries, the database, and the items that each query may find."""

    queries: Queries
    database: Database
    masks: QueryMasks | None = None
    """Masks that differ between queries; the database has none then."""
    excluded: Excluded | None = None

    @property
    def shared(self) -> bool:
        """Whether all queries may find the same items: one scan answers all, and nothing is dropped."""
        return self.masks is None and self.excluded is None

    def group_length(self, *, masked: bool) -> int:
        """Queries of a group: all, unless they have masks of their own."""
        if not self._has_masks(masked=masked):
            return max(len(self.queries), 1)
        return max(MASK_BYTES // max(len(self.database) // 8, 1), 1)

    def groups(self, *, masked: bool = False) -> Iterator[Group]:
        """Queries in order, in groups that are searched together.

        ``masked``: no group has exclusions; they become masks.
        """
        if not self._has_masks(masked=masked):
            yield self.together()
            return
        step = self.group_length(masked=masked)
        for start in range(0, max(len(self.queries), 1), step):
            stop = min(start + step, len(self.queries))
            yield Group(start, stop, self.queries[start:stop], self.database, self._masks_of(start, stop), None)

    def together(self) -> Group:
        """All queries, which have no masks of their own, as one group."""
        return Group(0, len(self.queries), self.queries, self.database, None, self.excluded)

    def groups_of_one_mask(self) -> Iterator[Group]:
        """Queries in order, in groups that may find the same items."""
        if self.masks is None:
            yield self.together()
            return
        for group in self.groups():
            assert group.masks is not None
            for q, bits in enumerate(group.masks.bits(0, len(self.database))):
                database = self.database.with_mask(Mask(bits, len(self.database)))
                yield group.part(q, q + 1)._replace(database=database, masks=None)

    def excludes_many(self, k: int) -> bool:
        """Whether some query excludes more items than are worth finding beside k results, and dropping."""
        most = 0 if self.excluded is None else self.excluded.most()
        return most > MOST_DROPPED and MASK_ITEMS_PER_DROPPED * most * (k + most) > len(self.database)

    def allowed(self) -> NDArray[np.int64]:
        """(q,) number of items that each query may find."""
        if self.masks is not None:
            step = self.group_length(masked=True)
            starts = range(0, max(len(self.queries), 1), step)
            return np.concatenate([self._masks_of(start, start + step).counts() for start in starts])
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

    def _has_masks(self, *, masked: bool) -> bool:
        return self.masks is not None or (masked and self.excluded is not None)

    def _masks_of(self, start: int, stop: int) -> QueryMasks:
        """The masks of some queries, which do not allow the items that these exclude."""
        if self.masks is None:
            masks = QueryMasks.repeated(self.database.mask, stop - start, len(self.database))
        else:
            masks = self.masks.rows(start, stop)
        if self.excluded is None:
            return masks
        excluded = self.excluded.rows(start, stop)
        return masks.without(excluded.owners, excluded.items)


def select(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    *,
    names: tuple[str, str] = ("query_codes", "db_codes"),
) -> Selection:
    """Validated arguments of a search.

    Raises:
        TypeError, ValueError: codes, a mask, positions or weights that do not fit; a mask beside a database with one.
    """
    if mask is None and exclude is None and weights is None:
        codes, database = _database.query_and_database(query_codes, db_codes, names=names)
        return Selection(Queries(codes), database)
    masks, array = None, None if mask is None else as_array("mask", mask)
    per_query = array is not None and array.ndim == 2
    codes, database = _database.query_and_database(query_codes, db_codes, None if per_query else array, names=names)
    queries = Queries(codes, None if weights is None else checked_weights(weights, codes))
    if array is not None and per_query:
        if database.mask is not None:
            raise ValueError("mask: expected none beside a database with a mask, got both")
        masks = checked_query_masks(array, len(queries), len(database))
        if len(queries) == 1:  # a mask for all
            database, masks = database.with_mask(Mask(masks.array[0], len(database))), None
    if exclude is None:
        return Selection(queries, database, masks)
    excluded = checked_exclude(exclude, len(queries), len(database))
    return Selection(queries, database, masks, excluded.among(database.mask))
