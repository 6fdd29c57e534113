"""One state of an index, open: settings and segments, read by any number of threads and changed by none."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from vtsearch._database import Database
from vtsearch._tables import Tables
from vtsearch._validate import thread_count
from vtsearch.index.labels import unpack_labels
from vtsearch.index.where import Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.index.about import About
    from vtsearch.index.ids import Ids
    from vtsearch.index.labels import Labels
    from vtsearch.index.metadata import Value
    from vtsearch.index.segments import Part
    from vtsearch.index.where import Params


MOST_TABLED = 2**31
"""Rows that tables number; a scan answers for the segments behind."""

LEAST_SHARED = 2**19
"""Items whose condition several threads evaluate, a segment each: of fewer, one takes as little time."""


class Generation:
    """The settings of an index and the items of its segments, in order."""

    def __init__(self, about: About, parts: Sequence[Part]) -> None:
        self.about, self.parts = about, list(parts)
        self._bounds = np.cumsum([0, *map(len, self.parts)])

    @property
    def bounds(self) -> list[int]:
        """The positions at which the segments begin, and the number of items."""
        return list(map(int, self._bounds))

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def between(self, start: int, stop: int) -> Generation:
        """The state of items start .. stop - 1, which must be there."""
        bounds = self._bounds.tolist()
        cuts = [(max(start - first, 0), min(stop, end) - first) for first, end in itertools.pairwise(bounds)]
        parts = [part.between(*cut) for part, cut in zip(self.parts, cuts, strict=True) if cut[0] < cut[1]]
        return Generation(self.about, parts)

    def codes(self) -> list[NDArray[np.uint8]]:
        """The codes of all segments, at least one array."""
        return [part.codes for part in self.parts] or [np.empty((0, self.about.width), dtype=np.uint8)]

    @cached_property
    def database(self) -> Database:
        """The codes of all segments, and the tables of those that have some."""
        parts = [part.tabled(first) for part, first in zip(self.parts, self._bounds.tolist(), strict=False)]
        tabled = [each for each in parts if each is not None]
        rows = itertools.accumulate(each.rows for each in tabled)
        tabled = [each for each, end in zip(tabled, rows, strict=True) if end <= MOST_TABLED]
        return Database(self.codes()).with_tables(Tables(tabled, self.about.width, self.about.bits) if tabled else None)

    def prefixes(self, bits: int) -> Database:
        """The first bits of the codes of all segments."""
        return Database([part.prefixes(bits) for part in self.parts] or [np.empty((0, -(-bits // 8)), dtype=np.uint8)])

    def ids(self) -> list[str]:
        """All ids."""
        return [name for part in self.parts for name in part.items.ids()]

    def ids_at(self, positions: Sequence[int]) -> dict[int, str]:
        """Position -> id.

        Raises:
            IndexError: a position beyond the items.
        """
        wanted = self._checked(np.unique(np.asarray(positions, dtype=np.int64)))
        by_part = zip(self.parts, self.by_part(wanted), strict=True)
        names = [part.items.ids_at(some) for part, some in by_part if len(some)]
        return dict(zip(wanted.tolist(), itertools.chain.from_iterable(names), strict=True))

    def positions_of(self, ids: Ids) -> NDArray[np.int64]:
        """The position of each of some ids, -1 for one that is not there."""
        found = np.full(len(ids.texts), -1, dtype=np.int64)
        for first, part in zip(self._bounds.tolist(), self.parts, strict=False):
            places = part.items.positions_of(ids)
            found = np.where(places >= 0, places + first, found)
        return found

    def by_part(self, positions: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Ascending positions as those within each part."""
        cuts = np.searchsorted(positions, self._bounds)
        return [positions[cuts[n] : cuts[n + 1]] - self._bounds[n] for n in range(len(self.parts))]

    def _checked(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ascending positions, none of which is beyond the items."""
        if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(self):
            beyond = wanted[0] if wanted[0] < 0 else wanted[-1]
            raise IndexError(f"position: expected one of {len(self)} items, got {beyond}")
        return wanted

    def labels(self) -> Labels | None:
        """int64 (n,), uint8 0/1 (n, classes), or None."""
        return unpack_labels([part.items.labels for part in self.parts], self.about.labels)

    def metadata(self) -> dict[str, list[Value]]:
        """The columns of metadata of all items."""
        names = list(self.about.columns)
        if not names:
            return {}
        rows = itertools.chain.from_iterable(part.items.values(names) for part in self.parts)
        return _by_name(names, list(rows))

    def metadata_at(self, positions: NDArray[np.int64]) -> dict[str, list[Value]]:
        """The columns of metadata of some items, in any order.

        Raises:
            IndexError: a position beyond the items.
        """
        names = list(self.about.columns)
        wanted, places = np.unique(positions, return_inverse=True)
        by_part = zip(self.parts, self.by_part(self._checked(wanted)), strict=True)
        if not names:
            return {}
        rows = [row for part, some in by_part for row in part.items.values_at(names, some)]
        return _by_name(names, [rows[place] for place in places.tolist()])

    def mask(self, condition: str, params: Params, seconds: float | None = None) -> NDArray[np.bool_]:
        """(n,): whether a condition in SQL holds for each item.

        Raises:
            TypeError, ValueError, VtsearchError: as ``Where`` and its ``rows``.
        """
        where = Where(condition, params, self.about, seconds)
        threads = min(thread_count(None), len(self.parts))
        if threads < 2 or len(self) < LEAST_SHARED:
            return np.concatenate([np.zeros(0, dtype=np.bool_), *(part.items.matching(where) for part in self.parts)])
        with ThreadPoolExecutor(threads) as pool:
            try:
                return np.concatenate(list(pool.map(lambda part: part.items.matching(where), self.parts)))
            except BaseException:
                where.stop()
                raise

    def verify(self) -> None:
        """Read all files and compare their checksums.

        Raises:
            VtsearchError: a file whose bytes are not those that were written.
        """
        for part in self.parts:
            part.verify()


def _by_name(names: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> dict[str, list[Value]]:
    """Rows as columns."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return dict(zip(names, map(list, columns), strict=True))
