"""Tables of substrings over codes: near codes from a part of them, or by a scan where that takes less time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from vtsearch import _native
from vtsearch._queries import Lists, Queries, Rows
from vtsearch._validate import Codes

Plan = Literal["auto", "tables", "scan"]

Found = TypeVar("Found", Rows, Lists)

ITEMS_PER_BUCKET = {True: 256, False: 8}
"""Items with one key, at most, if all keys were equally frequent, with and without copies of the codes: they are
compared in about the time that a key takes."""

MOST_TABLES = 32
"""Unless more are asked for."""

LEAST_KEY_BITS = 8
MOST_KEY_BITS = 24
"""Longer substrings have keys of their first bits only."""

LEAST_SCANNED_BYTES = 2**22
"""Queries times bytes of codes: a smaller search is over before it is planned."""


@dataclass(frozen=True)
class Explanation:
    """How tables found their answers; arrays have one element for each query."""

    tables: int
    by_tables: NDArray[np.bool_]
    """Whether the tables answered; a scan did otherwise."""
    keys: NDArray[np.int64]
    """Keys that were looked up, in all tables together."""
    candidates: NDArray[np.int64]
    """Codes that were compared with the query, those of a scan not counted."""
    radius: NDArray[np.int64]
    """Distance within which the tables had found all items; -1 for none."""

    def __str__(self) -> str:
        count, scanned = len(self.by_tables), int((~self.by_tables).sum())
        text = f"{count - scanned} of {count} queries by {self.tables} tables"
        if scanned < count:
            keys, candidates = (int(np.median(each[self.by_tables])) for each in (self.keys, self.candidates))
            text += f" (median: {keys:,} keys, {candidates:,} codes compared)"
        if scanned:
            text += f", {scanned} by a scan"
            reach = int(self.radius[~self.by_tables].max())
            if reach >= 0:
                text += f": tables had not found all their neighbors within radius {reach}, and beyond take longer"
        return text


class Tables:
    """Tables of codes, and which of these are left.

    Args:
        arrays: of each table where its buckets begin, its items in their order, and copies of their codes.
        codes: (n, bytes), of all items, if the tables have no copies.
        width: bytes of a code.
        bits: length of the codes, which are cut into as many substrings as there are tables.
        kept: the items that are left, ascending, if some have been removed: masks and answers number these alone.
    """

    def __init__(
        self,
        arrays: list[_native.Table],
        codes: Codes | None,
        width: int,
        bits: int,
        kept: NDArray[np.uint32] | None = None,
    ) -> None:
        self._arrays, self._codes, self._width, self._bits, self._kept = arrays, codes, width, bits, kept
        self._native = self._searcher()
        self._works: list[_native.Work] | None = None

    @property
    def count(self) -> int:
        """The number of tables."""
        return len(self._arrays)

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return sum(each.nbytes for table in self._arrays for each in table if each is not None)

    def recorded(self) -> Tables:
        """The same tables, which remember how they find the answers of one search."""
        tables = copy.copy(self)
        tables._works = []  # noqa: SLF001 (its own)
        return tables

    def explanation(self) -> Explanation:
        """How the answers were found since ``recorded``."""
        finished, keys, candidates, radius = np.concatenate([_no_work(0), *(self._works or [])]).T
        return Explanation(self.count, finished != 0, keys, candidates, radius)

    def rank(
        self,
        queries: Queries,
        k: int,
        mask: NDArray[np.uint8] | None,
        threads: int,
        scan: Callable[[Queries], Rows],
        *,
        plan: Plan = "auto",
    ) -> Rows:
        """The k nearest of each query, ordered by (distance, index).

        Args:
            queries: all of them.
            k: results per query.
            mask: packed bits of the items that are left; with a row for each query, a scan answers.
            threads: upper bound.
            scan: answers some of the queries.
            plan: "auto" takes for each query what needs less time.
        """

        def search(allowed: NDArray[np.uint8] | None) -> tuple[Rows, _native.Work, int]:
            rows, work, left = self._native.rank(queries.codes, k, allowed, plan == "auto", threads)
            return (rows[0], self._positions(rows[1])), work, left

        return self._answered(queries, mask, plan, search=search, scan=scan, filled=_filled_rows)

    def within(
        self,
        queries: Queries,
        radius: int,
        mask: NDArray[np.uint8] | None,
        threads: int,
        scan: Callable[[Queries], Lists],
        *,
        plan: Plan = "auto",
    ) -> Lists:
        """All items within the radius of each query, ordered by (distance, index); arguments as of ``rank``."""

        def search(allowed: NDArray[np.uint8] | None) -> tuple[Lists, _native.Work, int]:
            lists, work, left = self._native.within(queries.codes, radius, allowed, plan == "auto", threads)
            return (*lists[:2], self._positions(lists[2])), work, left

        return self._answered(queries, mask, plan, search=search, scan=scan, filled=_filled_lists)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_native"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._native = self._searcher()

    def _searcher(self) -> _native.Tables:
        key_bits = key_bits_of(len(self._arrays[0][1]))
        return _native.Tables(self._arrays, self._codes, self._width, self._bits, key_bits)

    def _answered(
        self,
        queries: Queries,
        mask: NDArray[np.uint8] | None,
        plan: Plan,
        *,
        search: Callable[[NDArray[np.uint8] | None], tuple[Found, _native.Work, int]],
        scan: Callable[[Queries], Found],
        filled: Callable[[Found, NDArray[np.int64], Found], Found],
    ) -> Found:
        """What ``search`` finds in the tables, ``filled`` with what ``scan`` finds for the queries that it left."""
        if self._is_scanned(queries, mask, plan):
            self._record(_no_work(len(queries)))
            return scan(queries)
        found, work, left = search(self._allowed(mask))
        self._record(work)
        if left == len(work):
            return scan(queries)
        if left:
            rest = np.flatnonzero(work[:, 0] == 0)
            found = filled(found, rest, scan(queries[rest]))
        return found

    def _record(self, work: _native.Work) -> None:
        if self._works is not None:
            self._works.append(work)

    def _is_scanned(self, queries: Queries, mask: NDArray[np.uint8] | None, plan: Plan) -> bool:
        """Whether no table is read: a small search is over before tables are of use."""
        if queries.weights is not None or (mask is not None and mask.ndim != 1):
            return True
        items = len(self._arrays[0][1]) if self._kept is None else len(self._kept)
        compared = len(queries) * self._width * items
        return plan == "scan" or compared == 0 or (plan == "auto" and compared < LEAST_SCANNED_BYTES)

    def _allowed(self, mask: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
        """The mask with a bit for each item of the tables, those that have been removed included."""
        if self._kept is None:
            return mask
        allowed = np.zeros(len(self._arrays[0][1]), dtype=np.bool_)
        allowed[self._kept] = True if mask is None else np.unpackbits(mask, count=len(self._kept))
        return np.packbits(allowed)

    def _positions(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Items of the tables, as numbers of those that are left."""
        return items if self._kept is None else np.searchsorted(self._kept, items.astype(np.uint32))


def default_tables(items: int, bits: int, *, copies: bool = True) -> int:
    """The most substrings, up to MOST_TABLES, that are so long that a bucket has ITEMS_PER_BUCKET items at the mean."""
    least = min(max(math.log2(max(items, 1) / ITEMS_PER_BUCKET[copies]), LEAST_KEY_BITS), MOST_KEY_BITS)
    return min(max(int(bits / least), 1), MOST_TABLES)


def key_bits_of(items: int) -> int:
    """The length of a key, at most, in tables of so many items."""
    return min(max(items.bit_length(), 1), MOST_KEY_BITS)


def build_tables(
    parts: Sequence[Codes], bits: int, count: int, first: int, last: int, *, copies: bool, threads: int
) -> list[_native.Table]:
    """Tables first .. last - 1 of ``count``, for ``Tables``, of codes one after the other."""
    key_bits = key_bits_of(sum(map(len, parts)))
    return _native.build_tables(list(parts), bits, count, key_bits, first, last, copies, threads)


def _no_work(queries: int) -> _native.Work:
    """What the engine reports of queries for which no table was read."""
    return np.tile(np.array([0, 0, 0, -1], dtype=np.int64), (queries, 1))


def _filled_rows(rows: Rows, empty: NDArray[np.int64], found: Rows) -> Rows:
    """Rankings of which some are empty, with what was found for those, in place."""
    rows[0][empty], rows[1][empty] = found
    return rows


def _filled_lists(lists: Lists, empty: NDArray[np.int64], found: Lists) -> Lists:
    """Lists of which some are empty, with what was found for those."""
    sources = [lists] * (len(lists[0]) - 1)
    places = np.arange(len(sources))
    for place, q in enumerate(empty.tolist()):
        sources[q], places[q] = found, place
    parts = [
        (source, slice(source[0][i], source[0][i + 1])) for source, i in zip(sources, places.tolist(), strict=True)
    ]
    offsets = np.cumsum([0, *(part.stop - part.start for _, part in parts)], dtype=np.int64)
    distances = np.concatenate([source[1][part] for source, part in parts])
    indices = np.concatenate([source[2][part] for source, part in parts])
    return offsets, distances, indices
