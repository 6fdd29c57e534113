"""Tables of substrings over codes: near codes from a part of them, or by a scan where that takes less time."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vtsearch import _native
from vtsearch._masks import Mask
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


class TabledItems(NamedTuple):
    """Consecutive items of a database that have tables."""

    first: int
    """Position of the first one."""
    arrays: list[_native.Table]
    """Of each table where its buckets begin, its rows in their order, and copies of their codes."""
    kept: NDArray[np.uint32] | None = None
    """The rows of the tables that are left, ascending, if some have been removed: these are the items."""

    @property
    def rows(self) -> int:
        """In each table."""
        return len(self.arrays[0][1])

    @property
    def items(self) -> int:
        """How many they are."""
        return self.rows if self.kept is None else len(self.kept)

    def has(self, position: int) -> bool:
        """Whether the item at a position of the database is one of them."""
        return self.first <= position < self.first + self.items


class Tables:
    """Tables of some or all items of a database, searched together.

    Args:
        parts: the items, ascending.
        width: bytes of a code.
        bits: length of the codes, which are cut into as many substrings as their part has tables.
        codes: (n, bytes), of the only part, if its tables have no copies.
    """

    plan: Plan = "auto"
    """"auto" takes for each query what needs less time."""

    def __init__(self, parts: Sequence[TabledItems], width: int, bits: int, codes: Codes | None = None) -> None:
        self.parts = parts
        self._codes, self._width, self._bits = codes, width, bits
        self._ends = np.cumsum([part.rows for part in parts])
        self._items = sum(part.items for part in parts)
        self._works: list[_native.Work] | None = None
        self._native = self._searcher()

    def __len__(self) -> int:
        return self._items

    @property
    def count(self) -> int:
        """The number of tables, in all parts together."""
        return sum(len(part.arrays) for part in self.parts)

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return sum(each.nbytes for part in self.parts for table in part.arrays for each in table if each is not None)

    def recorded(self, plan: Plan | None = None) -> Tables:
        """The same tables, which remember how they find the answers of one search; with another plan, if given."""
        tables = object.__new__(type(self))
        tables.__dict__ |= self.__dict__  # the searcher too, which a copy would make anew
        tables._works, tables.plan = [], plan or self.plan
        return tables

    def explanation(self) -> Explanation:
        """How the answers were found since ``recorded``."""
        finished, keys, candidates, radius = np.concatenate([_no_work(0), *(self._works or [])]).T
        return Explanation(self.count, finished != 0, keys, candidates, radius)

    def rank(
        self,
        queries: Queries,
        k: int,
        mask: Mask | None,
        threads: int,
        scan: Callable[[Queries], Rows],
    ) -> Rows:
        """The k nearest of each query among the items with tables, ordered by (distance, index).

        Args:
            queries: all of them.
            k: results per query.
            mask: that of the database.
            threads: upper bound.
            scan: answers some of the queries.
        """

        def search(allowed: NDArray[np.uint8] | None) -> tuple[Rows, _native.Work, int]:
            rows, work, left = self._native.rank(queries.codes, k, allowed, self.plan == "auto", threads)
            return (rows[0], self._positions(rows[1], work)), work, left

        return self._answered(queries, mask, search=search, scan=scan, filled=_filled_rows)

    def within(
        self,
        queries: Queries,
        radius: int,
        mask: Mask | None,
        threads: int,
        scan: Callable[[Queries], Lists],
    ) -> Lists:
        """All items with tables within the radius of each query, in the order of ``rank``; arguments likewise."""

        def search(allowed: NDArray[np.uint8] | None) -> tuple[Lists, _native.Work, int]:
            lists, work, left = self._native.within(queries.codes, radius, allowed, self.plan == "auto", threads)
            return (*lists[:2], self._positions(lists[2])), work, left

        return self._answered(queries, mask, search=search, scan=scan, filled=_filled_lists)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_native"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._native = self._searcher()

    def _searcher(self) -> _native.Tables:
        parts = [(part.arrays, key_bits_of(part.rows)) for part in self.parts]
        return _native.Tables(parts, self._codes, self._width, self._bits)

    def _answered(
        self,
        queries: Queries,
        mask: Mask | None,
        *,
        search: Callable[[NDArray[np.uint8] | None], tuple[Found, _native.Work, int]],
        scan: Callable[[Queries], Found],
        filled: Callable[[Found, NDArray[np.int64], Found], Found],
    ) -> Found:
        """What ``search`` finds in the tables, ``filled`` with what ``scan`` finds for the queries that it left."""
        if self._is_scanned(queries):
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

    def _is_scanned(self, queries: Queries) -> bool:
        """Whether no table is read: a small search is over before tables are of use."""
        compared = len(queries) * self._width * len(self)
        return self.plan == "scan" or compared == 0 or (self.plan == "auto" and compared < LEAST_SCANNED_BYTES)

    def _allowed(self, mask: Mask | None) -> NDArray[np.uint8] | None:
        """The mask in rows of the tables, those that have been removed left out; None if all are allowed."""
        if mask is None:
            return self._left
        bits = [mask.bits(part.first, part.first + part.items) for part in self.parts]
        return bits[0] if len(bits) == 1 and self.parts[0].kept is None else self._in_rows(bits)

    @functools.cached_property
    def _left(self) -> NDArray[np.uint8] | None:
        """Packed bits of the rows that are left; None if none has been removed."""
        if all(part.kept is None for part in self.parts):
            return None
        return self._in_rows([np.full(-(-part.items // 8), 0xFF, dtype=np.uint8) for part in self.parts])

    def _in_rows(self, bits: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Packed bits of all rows, of packed bits of the items of each part."""
        packed = np.zeros(-(-int(self._ends[-1]) // 8), dtype=np.uint8)
        for part, end, items in zip(self.parts, self._ends.tolist(), bits, strict=True):
            byte, shift = divmod(end - part.rows, 8)
            if part.kept is None and shift == 0 and part.rows % 8 == 0:  # the whole segments of a large index
                packed[byte : byte + part.rows // 8] = items[: part.rows // 8]
                continue
            rows = np.zeros(shift + part.rows, dtype=np.bool_)
            rows[shift:][slice(None) if part.kept is None else part.kept] = np.unpackbits(items, count=part.items)
            piece = np.packbits(rows)
            packed[byte : byte + len(piece)] |= piece
        return packed

    def _positions(self, rows: NDArray[np.int64], work: _native.Work | None = None) -> NDArray[np.int64]:
        """Rows of the tables as positions of items; ``work``: says which queries are unfinished, and have no rows."""
        if len(self.parts) == 1 and self.parts[0].kept is None and self.parts[0].first == 0:
            return rows
        if work is not None:
            rows[work[:, 0] == 0] = 0
        numbers = np.searchsorted(self._ends, rows, side="right")
        positions = np.empty_like(rows)
        for number in np.unique(numbers).tolist():
            part, here = self.parts[number], numbers == number
            items = rows[here] - (int(self._ends[number]) - part.rows)
            if part.kept is not None:
                items = np.searchsorted(part.kept, items.astype(np.uint32))
            positions[here] = part.first + items
        return positions


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
