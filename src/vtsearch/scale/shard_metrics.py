"""Retrieval metrics of a sharded index: what shards count, added up."""

from __future__ import annotations

import functools
import itertools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vtsearch import _database, _labels
from vtsearch._labels import DatabaseLabels, LabelRows
from vtsearch._masks import Mask, QueryMasks
from vtsearch._selection import Selection
from vtsearch.evaluation.scoring import check_codes, checked_bits
from vtsearch.metrics.by_index import sums_of_all
from vtsearch.metrics.histograms import histograms_of_all
from vtsearch.scale.evaluation import evaluate_parts
from vtsearch.scale.questions import Scanned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._exclusions import Excluded
    from vtsearch._labels import Labels
    from vtsearch._validate import Progress
    from vtsearch.evaluation import Evaluation
    from vtsearch.index import IndexView
    from vtsearch.index.labels import LabelForm
    from vtsearch.metrics import Normalizer, PrecisionSums, RelevanceHistograms
    from vtsearch.scale.questions import PackedMask, Question


@dataclass(frozen=True)
class QueryLabels:
    """The labels of queries, to be compared with those of the items of each shard."""

    rows: LabelRows
    classes: int
    known: NDArray[np.int64] | None
    """The class of each number in the rows, for single labels."""

    @classmethod
    def checked(cls, query_labels: ArrayLike, queries: int, form: LabelForm, items: int) -> QueryLabels:
        """The labels of queries, in the form that the labels of all items have.

        Raises:
            TypeError, ValueError: labels of another form or number.
        """
        shape, dtype = ((items,), np.int64) if form.kind == "single" else ((items, form.classes), np.uint8)
        of_items = np.broadcast_to(np.zeros((), dtype=dtype), shape)  # without memory: the shards have the labels
        labels = _labels.label_pair(query_labels, of_items, queries, items)
        return cls(labels.queries, labels.classes, labels.known)

    def beside(self, items: IndexView) -> Labels:
        """The same beside the labels of some items."""
        labels = items.labels()
        assert labels is not None
        return _labels.Labels(self.rows, self.classes, DatabaseLabels(labels, self.known))


@dataclass(frozen=True)
class Allowed:
    """The items of one shard that queries may find."""

    mask: PackedMask | None
    """For all queries, or a row for each."""
    excluded: Excluded | None
    before: RelevanceHistograms | None = None
    """What the shards before this one have counted."""


@dataclass(frozen=True)
class Relevance(Scanned):
    """Items and relevant items at each distance from each query."""

    labels: QueryLabels
    gains: bool

    def answer(self, items: IndexView, own: Allowed, threads: int) -> RelevanceHistograms:
        """Those of the items of one shard."""
        selection, labels = self.selection(items, own), self.labels.beside(items)
        return histograms_of_all(selection, None, labels=labels, threads=threads, gains=self.gains)

    def selection(self, items: IndexView, own: Allowed) -> Selection:
        """The queries, and what they may find among the items of one shard."""
        mask, database = own.mask, items.database(bits=self.bits)
        if mask is not None and mask.ndim == 2:
            return Selection(self.queries, database, QueryMasks(mask, len(items)), own.excluded)
        shared = None if mask is None else Mask(mask, len(items))
        return Selection(self.queries, database.with_mask(shared), None, own.excluded)


@dataclass(frozen=True)
class InOrder(Relevance):
    """Sums of the precisions at the relevant items in the top k of all shards, ties broken by position."""

    k: int
    whole: RelevanceHistograms
    """Those of all shards."""

    @property
    def nbytes(self) -> int:
        """Bytes of the queries and histograms."""
        return super().nbytes + 2 * self.whole.items.nbytes

    def answer(self, items: IndexView, own: Allowed, threads: int) -> PrecisionSums:  # type: ignore[override]
        """Those of the items of one shard."""
        return sums_of_all(
            self.selection(items, own),
            self.labels.beside(items),
            self.k,
            threads=threads,
            progress=None,
            whole=self.whole,
            before=own.before,
        )


class Ask(Protocol):
    """Asks all shards."""

    def __call__(self, question: Question, own: Sequence[Allowed], progress: Progress | None, /) -> list[Any]:
        """Send a question to all shards, and to each what queries may find there; their answers in order."""


@dataclass(frozen=True)
class Task:
    """Checked arguments of an evaluation, for all shards."""

    selection: Selection
    labels: QueryLabels
    bits: int | None
    """Compare the first bits alone."""
    gains: bool


def evaluated(
    task: Task,
    ask: Ask,
    cuts: Sequence[int],
    k: int | None,
    *,
    normalizer: Normalizer,
    bits: int,
    progress: Progress | None,
) -> Evaluation:
    """The evaluation of all items.

    Args:
        task: what is asked.
        ask: sends a question to all shards.
        cuts: positions at which the shards begin, and the number of items.
        k: length of the list that counts.
        normalizer: what average precision divides by.
        bits: length of the codes that are compared.
        progress: called with items done and items in all.
    """
    selection = task.selection
    first, second = (_database.stage(progress, number, 2) for number in range(2))
    allowed = [_allowed(selection, *ends) for ends in itertools.pairwise(cuts)]
    question = selection.queries, task.bits, task.labels, task.gains
    parts: list[RelevanceHistograms] = []

    def ask_histograms() -> RelevanceHistograms:
        parts.extend(ask(Relevance(*question), allowed, first))
        return functools.reduce(operator.add, parts)

    def ask_sums(whole: RelevanceHistograms, top: int) -> PrecisionSums:
        before = [None, *itertools.accumulate(parts[:-1])]
        own = [Allowed(each.mask, each.excluded, counted) for each, counted in zip(allowed, before, strict=True)]
        found: list[PrecisionSums] = ask(InOrder(*question, top, whole), own, second)
        return functools.reduce(operator.add, found)

    return evaluate_parts(
        ask_histograms,
        ask_sums,
        len(selection.database),
        k,
        normalizer=normalizer,
        bits=bits,
        excluded=0 if selection.excluded is None else int(selection.excluded.counts().sum()),
    )


def checked(selection: Selection, bits: int) -> int:
    """The length of the codes that are compared.

    Raises:
        ValueError: no queries or no items; codes that are not packed; bits that another number of bytes holds.
    """
    database = selection.database
    check_codes("query_codes", [selection.queries.codes])
    check_codes("db_codes", [database.rows(np.arange(min(len(database), 1000)))])
    return checked_bits(bits, database.width)


def _allowed(selection: Selection, start: int, stop: int) -> Allowed:
    """What queries may find among items start .. stop - 1."""
    mask = selection.database.mask if selection.masks is None else selection.masks
    excluded = selection.excluded
    return Allowed(
        None if mask is None else mask.bits(start, stop),
        None if excluded is None else excluded.between(start, stop),
    )
