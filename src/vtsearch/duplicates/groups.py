"""Groups of near-duplicates, as they are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vtsearch import _native, _validate
from vtsearch._database import Database
from vtsearch._validate import Codes
from vtsearch.duplicates.items import in_one_array, reading_of, rising, unmasked


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Items in groups: every item is in one, most are alone in theirs."""

    representatives: NDArray[np.int64]
    """(n,): the smallest index of each item's group."""
    matches: NDArray[np.int64] | None = None
    """(n,): the old item that each item matches, -1 for none; None if there were no old ones."""
    match_distances: NDArray[np.int32] | None = None
    """(n,): the distances to these, -1 for none."""

    def kept(self) -> NDArray[np.int64]:
        """Ascending indices of the first item of every group, unless one of the group matches an old item.

        No two of these are within the radius, except where ``max_diameter`` has split a group.
        """
        return np.flatnonzero(self._is_kept())

    def redundant(self) -> NDArray[np.int64]:
        """Ascending indices of all other items: those that could go."""
        return np.flatnonzero(~self._is_kept())

    def groups(self) -> list[NDArray[np.int64]]:
        """The groups of more than one item, each as ascending indices, in the order of their first ones."""
        members = members_of(self.representatives)
        return np.split(members.items, members.offsets[1:-1]) if len(members.items) else []

    def diameters(
        self,
        codes: NDArray[Any] | Database,
        *,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]:
        """The largest distance between two items of each of ``groups()``: long chains have large diameters.

        Of a large group only codes that are far from its center are compared, in most groups a few: 200,000 near codes
        of 64 bits take less than a tenth of a second. A copy of the codes of a large group is made, and of several
        parts the copy that ``deduplicate`` makes.

        Args:
            codes: the codes that were deduplicated.
            threads: upper bound; by default the CPUs that this process may use.
            progress: called with items done and items in all that are in these groups.

        Returns:
            (groups,) int64, in the order of ``groups()``.

        Raises:
            TypeError: codes that are not uint8; threads that are not an int; progress that is not a function.
            ValueError: codes of other items, or a database with a mask; threads below 1.

        Example:
            >>> import vtsearch
            >>> codes = vtsearch.pack([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1]])
            >>> vtsearch.deduplicate(codes, radius=1).diameters(codes)
            array([2])
        """
        database, count = unmasked("codes", codes), _validate.thread_count(threads)
        if len(database) != len(self.representatives):
            raise ValueError(
                f"codes: expected the {len(self.representatives):,} codes that were deduplicated, got {len(database):,}"
            )
        report, (items, offsets) = rising(_validate.checked_progress(progress)), members_of(self.representatives)
        told = None if report is None else lambda done: report(done, len(items))

        def measure(rows: Codes) -> NDArray[np.int64]:
            return _native.diameters(rows, items, offsets, *reading_of(rows, told, count), count)

        found = in_one_array(database, measure)
        if report is not None:
            report(len(items), len(items))
        return found

    def of_items(self, positions: NDArray[np.int64], count: int) -> Duplicates:
        """The same for ``count`` items, of which these were some, ascending; the others are alone and match nothing."""
        representatives = np.arange(count)
        representatives[positions] = positions[self.representatives]
        if self.matches is None or self.match_distances is None:
            return Duplicates(representatives)
        matches, distances = np.full(count, -1), np.full(count, -1, dtype=np.int32)
        matches[positions], distances[positions] = self.matches, self.match_distances
        return Duplicates(representatives, matches, distances)

    def _is_kept(self) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = self.representatives == np.arange(len(self.representatives))
        if self.matches is not None:
            kept[self.representatives[self.matches >= 0]] = False
        return kept


class Members(NamedTuple):
    """The items of the groups of more than one, one group after the other."""

    items: NDArray[np.int64]
    offsets: NDArray[np.int64]
    """(groups + 1,): where each begins."""


def members_of(representatives: NDArray[np.int64]) -> Members:
    """The members of all groups, in the order of their first ones."""
    sizes = np.bincount(representatives)
    items = np.flatnonzero(sizes[representatives] > 1)
    order = np.argsort(representatives[items], kind="stable")
    return Members(items[order], np.concatenate(([0], np.cumsum(sizes[sizes > 1]))))
