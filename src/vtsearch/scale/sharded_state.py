"""One state of a sharded index: its items, divided among shards, and the questions to them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch import _selection, _validate, ranking
from vtsearch.duplicates import Duplicates
from vtsearch.index import IndexView
from vtsearch.index.view import joined_generation
from vtsearch.index.where import Where
from vtsearch.scale import shard_metrics
from vtsearch.scale.cuts import cut_points, spans_between
from vtsearch.scale.duplicates import SpanPart, deduplicate
from vtsearch.scale.questions import Matching
from vtsearch.scale.scanner import PrefixDatabase, ShardScanner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch._exclusions import Exclude
    from vtsearch._validate import Progress
    from vtsearch.evaluation import Evaluation
    from vtsearch.index import Index
    from vtsearch.index.where import Params
    from vtsearch.metrics import Normalizer
    from vtsearch.scale.questions import Question
    from vtsearch.scale.shards import Shards


class ShardedState(IndexView):
    """All items of some indexes: ids, labels and metadata from their files, searches by shards."""

    def __init__(self, indexes: Sequence[Index], shards: Shards) -> None:
        """``indexes``: open, whose states this one keeps.

        Raises:
            VtsearchError: indexes whose codes do not belong together.
        """
        views = [index.between(0, len(index)) for index in indexes]
        spans = [span for view in views for span in view.spans]
        generation = joined_generation(spans, [view.state for view in views])
        super().__init__(generation, spans, indexes[0].path)
        self._shards = shards
        tabled = any(part.segment.tables for part in generation.parts)
        self.cuts = cut_points(len(generation), len(shards), generation.bounds if tabled else ())
        """The positions at which the shards begin, and the number of items."""
        self.shard_items = [spans_between(spans, *ends) for ends in itertools.pairwise(self.cuts)]
        """The items of each shard."""

    @property
    def shards(self) -> Shards:
        """Who answers."""
        return self._shards

    def where(self, condition: str, params: Params = (), *, seconds: float | None = None) -> NDArray[np.bool_]:
        """As ``Index.where``; each shard looks at its own items, for this time at most."""
        Where(condition, params, self._generation().about, seconds)  # raises before anything is sent
        found = self._shards.ask(self.shard_items, Matching(condition, params, seconds))
        return np.concatenate(found)

    def rank(
        self,
        query_codes: NDArray[np.uint8],
        k: int | None = None,
        *,
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        weights: ArrayLike | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
    ) -> ranking.Ranking:
        """The k nearest items of each query as positions, without their ids; with weights, as ``vtsearch.rank``.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.rank``.
            VtsearchError: as ``search``.
        """
        _, codes, database, allowed = self._asked(query_codes, where, params, mask, bits)
        return ranking.rank(codes, database, k, mask=allowed, exclude=exclude, weights=weights, progress=progress)

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
        """Retrieval metrics of queries against the labels of the items, as ``Index.evaluate``.

        Shards count items by distance, and their counts are added up: no code, label or ranking is sent. mAP by index
        takes a second question, with the counts of the shards before each.

        Raises:
            TypeError, ValueError: as ``Index.evaluate``.
            VtsearchError: as ``search``.
        """
        form = self._generation().about.labels
        _, codes, database, allowed = self._asked(query_codes, where, params, mask, bits, of_some=True)
        if form.kind == "none":
            raise ValueError(f"query_labels: expected none for {self.path}, an index without labels")
        selection = _selection.select(codes, database, allowed, exclude)
        length = shard_metrics.checked(selection, self.bits if bits is None else bits)
        labels = shard_metrics.QueryLabels.checked(query_labels, len(selection.queries), form, len(self))
        _validate.choice("normalizer", normalizer, ("retrieved", "relevant", "min"))
        _validate.thread_count(threads)
        task = shard_metrics.Task(selection, labels, bits, gains=form.kind == "multi")
        report = _validate.checked_progress(progress)
        return shard_metrics.evaluated(
            task, self._ask, self.cuts, k, normalizer=normalizer, bits=length, progress=report
        )

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
        work: str | PathLike[str] | None = None,
    ) -> Duplicates:
        """Groups of near-duplicate items, as ``Index.deduplicate``, found by tasks that the shards run.

        With against, max_diameter or where this process searches its own maps of the codes. An index that is changed
        meanwhile is searched once more.

        Args:
            radius: largest distance of a step, in bits.
            against: as for ``Index.deduplicate``.
            max_diameter: as for ``Index.deduplicate``.
            where: as for ``Index.deduplicate``.
            params: as for ``Index.deduplicate``.
            threads: of each task, at most.
            progress: called with items done and items in all; `done` is an estimate.
            work: folder for the files of the tasks, which all nodes reach at this path; one of an unfinished search is
                continued. By default a temporary folder of this machine.

        Raises:
            TypeError, ValueError: as ``Index.deduplicate``; work beside against, max_diameter or where.
            VtsearchError: a shard that cannot be reached; as ``vtsearch.scale.duplicates.deduplicate``.
        """
        if against is None and max_diameter is None and where is None:
            parts = [SpanPart(span) for span in self.spans]
            tasks = self._shards.map
            return Duplicates(deduplicate(parts, radius, tasks=tasks, work=work, threads=threads, progress=progress))
        if work is not None:
            raise ValueError("work: expected none beside against, max_diameter or where, got a folder")
        own = {"against": against, "max_diameter": max_diameter, "where": where, "params": params}
        return super().deduplicate(radius, threads=threads, progress=progress, **own)  # type: ignore[arg-type]

    def _ask(self, question: Question, own: Sequence[Any], progress: Progress | None) -> list[Any]:
        """The answers of all shards to a question of which each has its own part."""
        if progress is None:
            return self._shards.ask(self.shard_items, question, own)
        done = [0]

        def answered(number: int) -> None:
            done[0] += self.cuts[number + 1] - self.cuts[number]
            progress(done[0], len(self))

        return self._shards.ask(self.shard_items, question, own, answered)

    def _scanned(self, bits: int | None) -> Database:
        whole = self._generation().database
        if bits is None or bits == self.bits:
            bits, scanned = None, whole
        else:
            scanned = PrefixDatabase(whole, bits)
        return scanned.with_scanner(ShardScanner(self._shards, self.shard_items, self.cuts, bits))

    def _frozen(self) -> ShardedState:
        return self
