"""The questions to an index: nearest items, range searches, counts, duplicates, metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from vtsearch import duplicates, ranking
from vtsearch._database import Database
from vtsearch.evaluation import Evaluation, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._exclusions import Exclude
    from vtsearch.index.labels import Labels
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
    def ids(self) -> list[str]:
        """The ids of all items."""

    @abstractmethod
    def ids_at(self, positions: Sequence[int]) -> dict[int, str]:
        """Position -> id of some items."""

    def search(
        self,
        query_codes: NDArray[np.uint8],
        k: int | None = None,
        *,
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
            mask: (n,) bool, or (q, n) with a row for each query, or its ``numpy.packbits``; items whose mask is False
                are ignored.
            exclude: positions that a query ignores: (q,), -1 for none; a sequence of q arrays; or "self" where query i
                is item i; as for ``vtsearch.rank``.
            threads: upper bound; by default the CPUs that this process may use.
            progress: called with items done and items in all as the scan goes on.

        Returns:
            distances, indices and ids, all (q, min(k, items allowed)), ordered by (distance, index).

        Raises:
            TypeError: codes that are not uint8; progress that is not a function.
            ValueError: another width, k below 1, a mask or exclude of another length, positions outside the index.
        """
        options: Options = {"mask": mask, "exclude": exclude, "threads": threads, "progress": progress}
        distances, indices = ranking.rank(query_codes, self.database(), k, **options)
        names = self.ids_at(np.unique(indices).tolist())
        return Answers(distances, indices, [[names[position] for position in row] for row in indices.tolist()])

    def within(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> ranking.Neighbors:
        """The items within a radius of each query, as ``vtsearch.within``; indices are positions.

        Raises:
            TypeError, ValueError: as ``vtsearch.within``.
        """
        options: Options = {"mask": mask, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.within(query_codes, self.database(), radius, **options)

    def count(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]:
        """The number of items within a radius of each query, (q,), as ``vtsearch.count``.

        Raises:
            TypeError, ValueError: as ``vtsearch.count``.
        """
        options: Options = {"mask": mask, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.count(query_codes, self.database(), radius, **options)

    def histogram(
        self,
        query_codes: NDArray[np.uint8],
        *,
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]:
        """The number of items at each distance from each query, (q, 8 * bytes + 1), as ``vtsearch.histogram``.

        Raises:
            TypeError, ValueError: as ``vtsearch.histogram``.
        """
        options: Options = {"mask": mask, "exclude": exclude, "threads": threads, "progress": progress}
        return ranking.histogram(query_codes, self.database(), **options)

    def deduplicate(
        self,
        radius: int,
        *,
        against: NDArray[np.uint8] | Database | None = None,
        max_diameter: int | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> duplicates.Duplicates:
        """Groups of near-duplicate items, as ``vtsearch.deduplicate``; indices are positions.

        Several segments are first copied to one temporary file. The old items of ``against`` may be those of another
        index, as its ``database()``.

        Raises:
            TypeError, ValueError: as ``vtsearch.deduplicate``.
        """
        return duplicates.deduplicate(
            self.database(), radius, against=against, max_diameter=max_diameter, threads=threads, progress=progress
        )

    def evaluate(
        self,
        query_codes: NDArray[np.uint8],
        query_labels: NDArray[np.generic],
        k: int | None = None,
        *,
        normalizer: Normalizer = "retrieved",
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Evaluation:
        """Retrieval metrics of queries against the labels of the index, as ``vtsearch.evaluate``.

        Raises:
            ValueError: an index without labels; as ``vtsearch.evaluate``.
            TypeError: as ``vtsearch.evaluate``.
        """
        frozen = self._frozen()
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
            mask=mask,
            exclude=exclude,
            threads=threads,
            progress=progress,
        )
