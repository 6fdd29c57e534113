"""Exact search by tables of substrings, for databases that are searched many times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _answers, _database, _native, _selection, _validate
from vtsearch._database import Database, Lists, Rows
from vtsearch._queries import Queries
from vtsearch._selection import Group
from vtsearch.ranking import Neighbors, Ranking

Plan = Literal["auto", "tables", "scan"]

Found = TypeVar("Found", Rows, Lists)

_PLANS = ("auto", "tables", "scan")

MOST_ITEMS = 2**31

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
    """How a ``MultiIndex`` found its answers; arrays have one element for each query."""

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


class MultiIndex:
    """Tables over the codes of a database, which answer as ``rank`` and ``within`` do, from a part of the codes.

    Codes are cut into substrings, each the key of a table. Two codes within radius r are within r // tables of each
    other in at least one substring, so that few keys of each table lead to all near codes. A query whose neighbors are
    so far that a scan takes less time is answered by a scan; which of the two it is, is decided from the sizes of the
    tables' buckets, before they are read.

    Args:
        db_codes: (n, bytes) uint8, as for ``rank``, or a ``Database``; up to 2,147,483,648 codes. They are kept, and
            must not change.
        tables: number of substrings, from 1 to bits; by default chosen from n and bits.
        bits: length of the codes, if it is not 8 * bytes.
        copies: keep a copy of the codes in each table, in the order of its keys. Otherwise codes are read where they
            are: several times slower, but a table takes 4 bytes for each code and no more. Then db_codes is one array.
        threads: upper bound while the tables are made; by default the CPUs that this process may use.
        progress: called with tables done and tables in all.

    Raises:
        TypeError: codes that are not uint8; tables, bits or threads that are not ints; progress that is not a function.
        ValueError: tables, bits or threads out of range; too many codes; several arrays without copies.

    Example:
        >>> import numpy as np, vtsearch
        >>> codes = np.random.default_rng(0).integers(0, 256, (1000, 8), dtype=np.uint8)
        >>> index = vtsearch.MultiIndex(codes)
        >>> index.rank(codes[:1], 1).indices, index.within(codes[:1], 3).indices
        (array([[0]]), array([0]))

    Source: Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
    """

    def __init__(
        self,
        db_codes: NDArray[Any] | Database,
        *,
        tables: int | None = None,
        bits: int | None = None,
        copies: bool = True,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        if not isinstance(db_codes, Database):
            db_codes = Database(_validate.codes_to_scan("db_codes", db_codes))
        self.database = db_codes
        items, width = len(self.database), self.database.width
        if items > MOST_ITEMS:
            raise ValueError(f"db_codes: expected at most {MOST_ITEMS:,} codes, got {items:,}")
        if not copies and len(self.database.parts) > 1:
            raise ValueError(
                f"copies: expected True for a database of {len(self.database.parts)} arrays, got False; join them first"
            )
        self.bits = _validate.whole_number("bits", 8 * width if bits is None else bits, 1, 8 * width)
        tables = default_tables(items, self.bits, copies=copies) if tables is None else tables
        self.tables = _validate.whole_number("tables", tables, 1, self.bits)
        count, report = _validate.thread_count(threads), _validate.checked_progress(progress)
        self._key_bits = min(max(items.bit_length(), 1), MOST_KEY_BITS)
        self._arrays = self._build(copies, count, report)
        self._native = self._searcher()

    def __len__(self) -> int:
        return len(self.database)

    def __repr__(self) -> str:
        return f"MultiIndex({len(self):,} codes of {self.bits} bits, {self.tables} tables, {self.nbytes / 1e6:,.1f} MB)"

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return sum(each.nbytes for table in self._arrays for each in table if each is not None)

    @overload
    def rank(
        self,
        query_codes: NDArray[Any],
        k: int | None = None,
        *,
        mask: ArrayLike | None = None,
        plan: Plan = "auto",
        threads: int | None = None,
        explain: Literal[False] = False,
    ) -> Ranking: ...
    @overload
    def rank(
        self,
        query_codes: NDArray[Any],
        k: int | None = None,
        *,
        mask: ArrayLike | None = None,
        plan: Plan = "auto",
        threads: int | None = None,
        explain: Literal[True],
    ) -> tuple[Ranking, Explanation]: ...
    def rank(
        self,
        query_codes: NDArray[Any],
        k: int | None = None,
        *,
        mask: ArrayLike | None = None,
        plan: Plan = "auto",
        threads: int | None = None,
        explain: bool = False,
    ) -> Ranking | tuple[Ranking, Explanation]:
        """The k nearest database codes of each query, the same as of ``vtsearch.rank``.

        Args:
            query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one. A batch is planned as a
                whole, because a scan takes less time for each query of a larger one.
            k: results per query, at least 1; None, or more than there are, means all.
            mask: as for ``vtsearch.rank``.
            plan: "auto" takes for each query what needs less time, "tables" and "scan" the one or the other. Tables
                alone take very long where few codes are near.
            threads: upper bound; by default the CPUs that this process may use.
            explain: also return how the answers were found.

        Returns:
            distances int32 and indices int64, both (q, min(k, items allowed)), ordered by (distance, index); with
            explain, that and an ``Explanation``.

        Raises:
            TypeError, ValueError: as ``vtsearch.rank``; an unknown plan.
        """
        _validate.choice("plan", plan, _PLANS)
        selection = _selection.select(query_codes, self.database, mask)
        columns, count = selection.columns(k), _validate.thread_count(threads)
        answers = [self._ranked(group, columns, plan, count) for group in selection.groups_of_one_mask()]
        ranking = Ranking(*_answers.stacked_rows([rows for rows, _ in answers]))
        return (ranking, self._explained([work for _, work in answers])) if explain else ranking

    @overload
    def within(
        self,
        query_codes: NDArray[Any],
        radius: int,
        *,
        mask: ArrayLike | None = None,
        plan: Plan = "auto",
        threads: int | None = None,
        explain: Literal[False] = False,
    ) -> Neighbors: ...
    @overload
    def within(
        self,
        query_codes: NDArray[Any],
        radius: int,
        *,
        mask: ArrayLike | None = None,
        plan: Plan = "auto",
        threads: int | None = None,
        explain: Literal[True],
    ) -> tuple[Neighbors, Explanation]: ...
    def within(
        self,
        query_codes: NDArray[Any],
        radius: int,
        *,
        mask: ArrayLike | None = None,
        plan: Plan = "auto",
        threads: int | None = None,
        explain: bool = False,
    ) -> Neighbors | tuple[Neighbors, Explanation]:
        """All database codes within a radius of each query, the same as of ``vtsearch.within``.

        Args:
            query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
            radius: largest distance that counts, in bits; at least 0.
            mask: as for ``vtsearch.within``.
            plan: "auto" takes for each query what needs less time, "tables" and "scan" the one or the other. Tables
                alone take very long where few codes are near.
            threads: upper bound; by default the CPUs that this process may use.
            explain: also return how the answers were found.

        Returns:
            offsets int64 (q + 1,), distances int32 and indices int64, as of ``vtsearch.within``; with explain, that and
            an ``Explanation``.

        Raises:
            TypeError, ValueError: as ``vtsearch.within``; an unknown plan.
        """
        _validate.choice("plan", plan, _PLANS)
        selection = _selection.select(query_codes, self.database, mask)
        reach, count = _validate.checked_radius(radius, 8 * self.database.width), _validate.thread_count(threads)
        answers = [self._within(group, reach, plan, count) for group in selection.groups_of_one_mask()]
        neighbors = Neighbors(*_answers.joined([lists for lists, _ in answers]))
        return (neighbors, self._explained([work for _, work in answers])) if explain else neighbors

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_native"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._native = self._searcher()

    def _searcher(self) -> _native.Tables:
        codes = self.database.parts[0] if self._arrays[0][2] is None else None
        return _native.Tables(self._arrays, codes, self.database.width, self.bits, self._key_bits)

    def _build(self, copies: bool, threads: int, report: _validate.Progress | None) -> list[_native.Table]:
        """The tables, as many at a time as there are threads."""
        made: list[_native.Table] = []
        parts = list(self.database.parts)
        for first in range(0, self.tables, threads):
            last = min(first + threads, self.tables)
            made += _native.build_tables(parts, self.bits, self.tables, self._key_bits, first, last, copies, threads)
            if report is not None:
                report(last, self.tables)
        return made

    def _ranked(self, group: Group, k: int, plan: Plan, threads: int) -> tuple[Rows, _native.Work]:
        def scan(queries: Queries) -> Rows:
            return _database.scan_rank(queries, _database.Scan(group.database, len(queries)), k, threads)

        def search(mask: NDArray[np.uint8] | None) -> tuple[Rows, _native.Work, int]:
            return self._native.rank(group.queries.codes, k, mask, plan == "auto", threads)

        return self._answered(group, plan, search, scan, _filled_rows)

    def _within(self, group: Group, radius: int, plan: Plan, threads: int) -> tuple[Lists, _native.Work]:
        def scan(queries: Queries) -> Lists:
            return _database.scan_within(queries, _database.Scan(group.database, len(queries)), radius, threads)

        def search(mask: NDArray[np.uint8] | None) -> tuple[Lists, _native.Work, int]:
            return self._native.within(group.queries.codes, radius, mask, plan == "auto", threads)

        return self._answered(group, plan, search, scan, _filled_lists)

    def _answered(
        self,
        group: Group,
        plan: Plan,
        search: Callable[[NDArray[np.uint8] | None], tuple[Found, _native.Work, int]],
        scan: Callable[[Queries], Found],
        filled: Callable[[Found, NDArray[np.int64], Found], Found],
    ) -> tuple[Found, _native.Work]:
        """What ``search`` finds in the tables, ``filled`` with what ``scan`` finds for the queries that it left."""
        if self._is_scanned(group, plan):
            return scan(group.queries), _no_work(group)
        mask = group.database.mask
        found, work, left = search(None if mask is None else mask.bits(0, len(self)))
        if left == len(work):
            return scan(group.queries), work
        if left:
            rest = np.flatnonzero(work[:, 0] == 0)
            found = filled(found, rest, scan(group.queries[rest]))
        return found, work

    def _is_scanned(self, group: Group, plan: Plan) -> bool:
        """Whether no table is read: a small search is over before tables are of use."""
        compared = len(group.queries) * self.database.width * len(self)
        return plan == "scan" or compared == 0 or (plan == "auto" and compared < LEAST_SCANNED_BYTES)

    def _explained(self, works: Sequence[_native.Work]) -> Explanation:
        finished, keys, candidates, radius = np.concatenate(works).T
        return Explanation(self.tables, finished != 0, keys, candidates, radius)


def default_tables(items: int, bits: int, *, copies: bool = True) -> int:
    """The most substrings, up to MOST_TABLES, that are so long that a bucket has ITEMS_PER_BUCKET items at the mean."""
    least = min(max(math.log2(max(items, 1) / ITEMS_PER_BUCKET[copies]), LEAST_KEY_BITS), MOST_KEY_BITS)
    return min(max(int(bits / least), 1), MOST_TABLES)


def _no_work(group: Group) -> _native.Work:
    """What the engine reports of queries for which no table was read."""
    return np.tile(np.array([0, 0, 0, -1], dtype=np.int64), (len(group.queries), 1))


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
    lengths = np.array([part.stop - part.start for _, part in parts], dtype=np.int64)
    distances = np.concatenate([source[1][part] for source, part in parts])
    indices = np.concatenate([source[2][part] for source, part in parts])
    return _answers.offsets_of(lengths), distances, indices
