"""Whole-index questions: retrieval metrics and groups of near-duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch import duplicates
from vtsearch.evaluation import Evaluation, evaluate
from vtsearch.index.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch._exclusions import Exclude
    from vtsearch.index.where import Params
    from vtsearch.metrics import Normalizer


class Analysis(Queries):
    """Questions that concern all items of an index."""

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
        bits: int | None = None,
    ) -> Evaluation:
        """Retrieval metrics of queries against the labels of the index, as ``vtsearch.evaluate``.

        Raises:
            ValueError: an index without labels; as ``search`` and ``vtsearch.evaluate``.
            TypeError: as ``search`` and ``vtsearch.evaluate``.
        """
        items, codes, database, allowed = self._asked(query_codes, where, params, mask, bits, of_some=True)
        labels = items.labels()
        if labels is None:
            raise ValueError(f"query_labels: expected none for {self.path}, an index without labels")
        return evaluate(
            codes,
            database.with_labels(labels),
            query_labels,
            k=k,
            normalizer=normalizer,
            bits=self.bits if bits is None else bits,
            mask=allowed,
            exclude=exclude,
            threads=threads,
            progress=progress,
        )
