"""Exact search by tables of substrings, for databases that are searched many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, overload

from numpy.typing import ArrayLike, NDArray

from vtsearch import _answers, _database, _native, _selection, _validate
from vtsearch._database import Database
from vtsearch._queries import Lists, Rows
from vtsearch._selection import Group, Selection
from vtsearch._tables import Explanation, Plan, TabledItems, Tables, build_tables, default_tables
from vtsearch.ranking import Neighbors, Ranking

MOST_ITEMS = 2**31


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
        made = self._build(copies, _validate.thread_count(threads), _validate.checked_progress(progress))
        self._tables = Tables([TabledItems(0, made)], width, self.bits, None if copies else self.database.parts[0])

    def __len__(self) -> int:
        return len(self.database)

    def __repr__(self) -> str:
        return f"MultiIndex({len(self):,} codes of {self.bits} bits, {self.tables} tables, {self.nbytes / 1e6:,.1f} MB)"

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return self._tables.nbytes

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
        selection = self._selected(query_codes, mask, plan)
        columns, count = selection.columns(k), _validate.thread_count(threads)

        def answer(group: Group) -> Rows:
            return _database.scan_rank(group.queries, group.scan(None), columns, count)

        ranking = Ranking(*_answers.stacked_rows(list(map(answer, selection.groups_of_one_mask()))))
        return (ranking, _explained(selection)) if explain else ranking

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
        selection = self._selected(query_codes, mask, plan)
        reach, count = _validate.checked_radius(radius, 8 * self.database.width), _validate.thread_count(threads)

        def answer(group: Group) -> Lists:
            return _database.scan_within(group.queries, group.scan(None), reach, count)

        neighbors = Neighbors(*_answers.joined(list(map(answer, selection.groups_of_one_mask()))))
        return (neighbors, _explained(selection)) if explain else neighbors

    def _selected(self, query_codes: NDArray[Any], mask: ArrayLike | None, plan: Plan) -> Selection:
        """Validated queries, and the database with tables that record a search by a plan."""
        _validate.choice("plan", plan, get_args(Plan))
        database = self.database.with_tables(self._tables.recorded(plan))
        return _selection.select(query_codes, database, mask)

    def _build(self, copies: bool, threads: int, report: _validate.Progress | None) -> list[_native.Table]:
        """The tables, as many at a time as there are threads."""
        made: list[_native.Table] = []
        for first in range(0, self.tables, threads):
            last = min(first + threads, self.tables)
            made += build_tables(
                self.database.parts, self.bits, self.tables, first, last, copies=copies, threads=threads
            )
            if report is not None:
                report(last, self.tables)
        return made


def _explained(selection: Selection) -> Explanation:
    """How the tables of a selection found their answers."""
    assert selection.database.tables is not None
    return selection.database.tables.explanation()
