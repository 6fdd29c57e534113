"""The questions to an index: nearest items, range searches, counts, duplicates, metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

import numpy as np

from vtsearch import duplicates, ranking
from vtsearch._database import Database
from vtsearch._masks import restricted
from vtsearch.evaluation import Evaluation, evaluate
from vtsearch.index.about import checked_names
from vtsearch.index.ids import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._exclusions import Exclude
    from vtsearch.index.labels import Labels
    from vtsearch.index.where import Params
    from vtsearch.metrics import Normalizer


class Options(TypedDict):
    """The arguments that every search passes on."""

    mask: ArrayLike | None
    exclude: Exclude | None
    threads: int | None
    progress: Callable[[int, int], object] | None


class Answers(NamedTuple):
    """The nearest items of each query, nearest first, in the order (distance, index)."""

    distances: NDArray[np.int32]
    """(q, k)"""
    indices: NDArray[np.int64]
    """(q, k) positions in the index."""
    ids: list[list[str]]
    """q rows of k external ids."""


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
    def database(self, *, mask: ArrayLike | None = None) -> Database:
        """The codes of all items."""

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
    ) -> Answers:
        """The k nearest items of each query, nearest first.

        Codes of more than 256 MiB in all leave memory as the scan goes on, as for ``vtsearch.rank``.

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

        Returns:
            distances, indices and ids, all (q, min(k, items allowed)), ordered by (distance, index).

        Raises:
            TypeError: codes that are not uint8; progress that is not a function; parameters of other types.
            ValueError: another width, k below 1, a mask or exclude of another length, positions outside the index; a
                condition that SQLite does not take.
            VtsearchError: a condition that takes more than a minute.
        """
        frozen, allowed = self._frozen()._allowed(where, params, mask)  # noqa: SLF001 (its own)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        distances, indices = ranking.rank(query_codes, frozen.database(), k, **options)
        names = frozen.ids_at(np.unique(indices).tolist())
        return Answers(distances, indices, [[names[position] for position in row] for row in indices.tolist()])

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
        )

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
    ) -> ranking.Neighbors:
        """The items within a radius of each query, as ``vtsearch.within``; indices are positions.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.within``.
        """
        frozen, allowed = self._allowed(where, params, mask)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.within(query_codes, frozen.database(), radius, **options)

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
    ) -> NDArray[np.int64]:
        """The number of items within a radius of each query, (q,), as ``vtsearch.count``.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.count``.
        """
        frozen, allowed = self._allowed(where, params, mask)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.count(query_codes, frozen.database(), radius, **options)

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
    ) -> NDArray[np.int64]:
        """The number of items at each distance from each query, (q, 8 * bytes + 1), as ``vtsearch.histogram``.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.histogram``.
        """
        frozen, allowed = self._allowed(where, params, mask)
        options: Options = {"mask": allowed, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.histogram(query_codes, frozen.database(), **options)

    def deduplicate(
        self,
        radius: int,
        *,
        against: NDArray[np.uint8] | Database | None = None,
        max_diameter: int | None = None,
        where: str | None = None,
        params: Params = (),
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> duplicates.Duplicates:
        """Groups of near-duplicate items, as ``vtsearch.deduplicate``; indices are positions.

        Several segments are first copied to one temporary file. The old items of ``against`` may be those of another
        index, as its ``database()``. With ``where``, the items that the condition does not hold for are in no group.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.deduplicate``.
        """
        frozen = self._frozen()
        database = frozen.database()
        found_among = None if where is None else np.flatnonzero(frozen.where(where, params))
        found = duplicates.deduplicate(
            database if found_among is None else database.rows(found_among),
            radius,
            against=against,
            max_diameter=max_diameter,
            threads=threads,
            progress=progress,
        )
        return found if found_among is None else found.of_items(found_among, len(database))

    def evaluate(
        self,
        query_codes: NDArray[np.uint8],
        query_labels: NDArray[np.generic],
        k: int | None = None,
        *,
        normalizer: Normalizer = "retrieved",
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Evaluation:
        """Retrieval metrics of queries against the labels of the index, as ``vtsearch.evaluate``.

        Raises:
            ValueError: an index without labels; as ``search`` and ``vtsearch.evaluate``.
            TypeError: as ``search`` and ``vtsearch.evaluate``.
        """
        frozen, allowed = self._frozen()._allowed(where, params, mask)  # noqa: SLF001 (its own)
        labels = frozen.labels()
        if labels is None:
            raise ValueError(f"query_labels: expected none for {self.path}, an index without labels")
        database = Database(frozen.database().parts, labels=labels)
        return evaluate(
            query_codes,
            database,
            query_labels,
            k=k,
            normalizer=normalizer,
            bits=self.bits,
            mask=allowed,
            exclude=exclude,
            threads=threads,
            progress=progress,
        )

    def _allowed(self, where: str | None, params: Params, mask: ArrayLike | None) -> tuple[Queries, ArrayLike | None]:
        """The items to ask, and a mask of those that the mask and the condition allow, of one moment."""
        if where is None:
            return self, mask
        frozen = self._frozen()
        return frozen, restricted(mask, frozen.where(where, params))
