"""Searches of an index: nearest items, items within a radius, their number, distances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from vtsearch import _validate, ranking
from vtsearch._masks import restricted
from vtsearch.codes import prefix
from vtsearch.index.about import checked_names
from vtsearch.index.answers import Answers
from vtsearch.index.explanation import SearchExplanation
from vtsearch.index.ids import refuse_unknown
from vtsearch.index.where import refuse_none

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Unpack

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch._exclusions import Exclude
    from vtsearch.index.answers import Options, Restrictions
    from vtsearch.index.labels import Labels
    from vtsearch.index.where import Params


class Asked(NamedTuple):
    """A search, with all that belongs to one moment."""

    items: Queries
    codes: NDArray[np.uint8]
    """Of the queries."""
    database: Database
    mask: ArrayLike | None


class Queries(ABC):
    """Every question to codes with ids and labels, answered from a database that is never joined in memory."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The folder."""

    @property
    @abstractmethod
    def bits(self) -> int:
        """Length of the codes."""

    @abstractmethod
    def database(self, *, mask: ArrayLike | None = None, bits: int | None = None) -> Database:
        """The codes of all items, or their first bits."""

    @abstractmethod
    def labels(self) -> Labels | None:
        """The labels of all items, or None."""

    @abstractmethod
    def _frozen(self) -> Queries:
        """The items of this moment, to which nothing is added: for answers from several of these methods."""

    @abstractmethod
    def where(self, condition: str, params: Params = ()) -> NDArray[np.bool_]:
        """The items that a condition in SQL holds for, as a mask."""

    @abstractmethod
    def ids(self) -> list[str]:
        """The ids of all items."""

    @abstractmethod
    def positions_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The position of each of some ids, -1 for one that is not there."""

    @abstractmethod
    def ids_at(self, positions: Sequence[int]) -> dict[int, str]:
        """Position -> id of some items."""

    @overload
    def search(
        self,
        query_codes: NDArray[np.uint8],
        k: int | None = None,
        *,
        explain: Literal[False] = False,
        **restrictions: Unpack[Restrictions],
    ) -> Answers: ...
    @overload
    def search(
        self,
        query_codes: NDArray[np.uint8],
        k: int | None = None,
        *,
        explain: Literal[True],
        **restrictions: Unpack[Restrictions],
    ) -> tuple[Answers, SearchExplanation]: ...
    def search(
        self,
        query_codes: NDArray[np.uint8],
        k: int | None = None,
        *,
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
        explain: bool = False,
    ) -> Answers | tuple[Answers, SearchExplanation]:
        """The k nearest items of each query, nearest first.

        Codes of more than 256 MiB in all leave memory as the scan goes on, as for ``vtsearch.rank``. Segments with
        tables (``compact``) are searched by these where that takes less time.

        Args:
            query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
            k: results per query, at least 1; None, or more than there are, means all.
            where: a condition in SQL on id, label and metadata, as for ``Index.where``; other items are ignored.
            params: values of its parameters.
            mask: (n,) bool, or (q, n) with a row for each query, or its ``numpy.packbits``; items whose mask is False
                are ignored.
            exclude: positions that a query ignores: (q,), -1 for none; a sequence of q arrays; or "self" where query i
                is item i; as for ``vtsearch.rank``.
            threads: upper bound; by default the CPUs that this process may use.
            progress: called with items done and items in all as the scan goes on.
            bits: compare the first bits of the codes alone, as those of a nested model; queries have these, or whole
                codes. They are copied into memory once, (n, ceil(bits / 8)), and stay there until the index is closed.
            explain: also return how the answers were found.

        Returns:
            distances, indices and ids, all (q, min(k, items allowed)), ordered by (distance, index); with explain,
            that and a ``SearchExplanation``.

        Raises:
            TypeError: codes that are not uint8; progress that is not a function; parameters of other types.
            ValueError: another width, k below 1, a mask or exclude of another length, positions outside the index; a
                condition that SQLite does not take.
            VtsearchError: a condition that takes more than a minute.
        """
        items, codes, database, allowed = self._asked(query_codes, where, params, mask, bits)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        database = database.recorded() if explain else database
        distances, indices = ranking.rank(codes, database, k, **options)
        names = items.ids_at(np.unique(indices).tolist())
        answers = Answers(distances, indices, [[names[position] for position in row] for row in indices.tolist()])
        return (answers, SearchExplanation.of(database)) if explain else answers

    def search_items(
        self,
        ids: Sequence[str],
        k: int | None = None,
        *,
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Literal["self"] | None = "self",
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
    ) -> Answers:
        """The k nearest items of each of some items, nearest first, without itself.

        Args:
            ids: q external ids.
            k: as for ``search``.
            where: as for ``search``.
            params: as for ``search``.
            mask: as for ``search``.
            exclude: "self" leaves each item out of its own answers; None does not.
            threads: as for ``search``.
            progress: as for ``search``.
            bits: as for ``search``.

        Raises:
            TypeError: ids that are not strings.
            ValueError: an id that is not in the index; another exclude; as ``search``.
        """
        if exclude not in ("self", None):
            raise ValueError(f"exclude: expected 'self' or None, got {exclude!r}")
        frozen = self._frozen()
        names = checked_names("ids", ids)
        positions = frozen.positions_of(names)
        refuse_unknown("ids", self.path, names, positions)
        wanted, places = np.unique(positions, return_inverse=True)
        return frozen.search(
            frozen.database().rows(wanted)[places],
            k,
            where=where,
            params=params,
            mask=mask,
            exclude=positions if exclude == "self" else None,
            threads=threads,
            progress=progress,
            bits=bits,
        )

    @overload
    def within(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        explain: Literal[False] = False,
        **restrictions: Unpack[Restrictions],
    ) -> ranking.Neighbors: ...
    @overload
    def within(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        explain: Literal[True],
        **restrictions: Unpack[Restrictions],
    ) -> tuple[ranking.Neighbors, SearchExplanation]: ...
    def within(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
        explain: bool = False,
    ) -> ranking.Neighbors | tuple[ranking.Neighbors, SearchExplanation]:
        """The items within a radius of each query, as ``vtsearch.within``; indices are positions.

        With ``explain``, that and how they were found, as for ``search``.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.within``.
        """
        _, codes, database, allowed = self._asked(query_codes, where, params, mask, bits)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        database = database.recorded() if explain else database
        neighbors = ranking.within(codes, database, radius, **options)
        return (neighbors, SearchExplanation.of(database)) if explain else neighbors

    def count(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
    ) -> NDArray[np.int64]:
        """The number of items within a radius of each query, (q,), as ``vtsearch.count``.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.count``.
        """
        _, codes, database, allowed = self._asked(query_codes, where, params, mask, bits)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.count(codes, database, radius, **options)

    def histogram(
        self,
        query_codes: NDArray[np.uint8],
        *,
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
    ) -> NDArray[np.int64]:
        """The number of items at each distance from each query, (q, 8 * bytes + 1), as ``vtsearch.histogram``.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.histogram``.
        """
        _, codes, database, allowed = self._asked(query_codes, where, params, mask, bits)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.histogram(codes, database, **options)

    def _asked(
        self,
        query_codes: NDArray[np.uint8],
        where: str | None,
        params: Params,
        mask: ArrayLike | None,
        bits: int | None,
        *,
        of_some: bool = False,
    ) -> Asked:
        """A search of the items of this moment; `of_some` refuses a condition that holds for none."""
        frozen = self._frozen()
        allowed = mask
        if where is not None:
            found = frozen.where(where, params)
            if of_some:
                refuse_none(where, found)
            allowed = restricted(mask, found)
        codes = query_codes if bits is None else _prefixes(query_codes, self.bits, bits)
        return Asked(frozen, codes, frozen._scanned(bits), allowed)  # noqa: SLF001 (its own)

    def _scanned(self, bits: int | None) -> Database:
        """The codes that searches of this moment scan, or their first bits."""
        return self.database(bits=bits)


def _prefixes(query_codes: Any, whole: int, bits: int) -> NDArray[np.uint8]:
    """The first bits of queries, given as whole codes or as these alone.

    Raises:
        TypeError, ValueError: bits out of range, codes of another width.
    """
    count = _validate.whole_number("bits", bits, 1, whole)
    codes = _validate.as_array("query_codes", query_codes)
    codes = _validate.codes_matrix("query_codes", codes[None] if codes.ndim == 1 else codes)
    widths = -(-whole // 8), -(-count // 8)
    if codes.shape[1] not in widths:
        raise ValueError(
            f"query_codes: expected {widths[0]} bytes per code, or {widths[1]} of the first {count} bits, "
            f"got {codes.shape[1]}"
        )
    return prefix(codes, count)
