"""Average precision of one order, tied items by index: sums that the parts of a database add to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _answers, _database, _labels, _native, _selection, _validate
from vtsearch._database import Database
from vtsearch._exclusions import Exclude
from vtsearch._selection import Group, Selection
from vtsearch.metrics.histograms import (
    ROW_BYTES,
    Counts,
    Normalizer,
    RelevanceHistograms,
    Scores,
    Sums,
    histogram_blocks,
    kernel_arguments,
    labels_of,
)

Histograms = tuple[Counts, Counts]
"""Items and relevant items, (q, bins)."""


@dataclass(frozen=True)
class PrecisionSums:
    """What a part of a database has in the top k of all, for each query; from ``precision_sums``.

    Those of consecutive parts add up to those of the whole: ``first + second``.

    Raises:
        ValueError: a sum with those of another number of queries.
    """

    sums: Sums
    """(q,): of the precisions at the relevant items."""
    retrieved: Counts
    """(q,): how many relevant items these are."""

    def __add__(self, other: PrecisionSums) -> PrecisionSums:
        """Those of two parts as those of both."""
        if not isinstance(other, PrecisionSums):
            return NotImplemented
        if len(self.sums) != len(other.sums):
            raise ValueError(f"sums: expected as many queries in both, got {len(self.sums)} and {len(other.sums)}")
        return PrecisionSums(self.sums + other.sums, self.retrieved + other.retrieved)

    def average_precision(self, relevant: Counts, k: int, normalizer: Normalizer = "retrieved") -> Scores:
        """Average precision at k, (q,), of all parts together.

        Args:
            relevant: (q,) int64, all relevant items: ``relevant_totals`` of the histograms of the whole.
            k: positions that count, as for the sums.
            normalizer: "retrieved", "relevant" or "min", as for ``average_precision``.

        Raises:
            ValueError: an unknown normalizer; relevant of another length.
        """
        _validate.choice("normalizer", normalizer, ("retrieved", "relevant", "min"))
        if relevant.shape != self.retrieved.shape:
            raise ValueError(f"relevant: expected {self.retrieved.shape}, one for each query, got {relevant.shape}")
        met = {"retrieved": self.retrieved, "relevant": relevant, "min": np.minimum(relevant, k)}[normalizer]
        return np.asarray(np.divide(self.sums, met, out=np.zeros(len(met)), where=met > 0))


def precision_sums(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    query_labels: ArrayLike,
    db_labels: ArrayLike | None = None,
    k: int | None = None,
    *,
    whole: RelevanceHistograms,
    before: RelevanceHistograms | None = None,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> PrecisionSums:
    """What a part of a database adds to average precision at k with ties broken by index, in the order of the parts.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``: the part, which may be empty.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels; None with a ``Database`` that has labels.
        k: positions of the whole that count, at least 1; None, or more than there are, means all.
        whole: histograms of all parts together: the sum of their ``relevance_histograms``.
        before: histograms of the parts before this one; None for the first.
        mask: items of the part, as for ``rank``; those whose mask is False are ignored.
        exclude: positions in the part that a query ignores, as for ``rank``.
        weights: (q, bits) integers: what each bit of a query counts, as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.

    Raises:
        TypeError: as ``average_precision``.
        ValueError: as ``average_precision``, but for an empty database; histograms of other queries or another width;
            more items before than in all.

    Example:
        >>> import vtsearch
        >>> from vtsearch.metrics import precision_sums, relevance_histograms
        >>> query, codes = vtsearch.pack([[0, 0, 0]]), vtsearch.pack([[0, 0, 0], [0, 0, 1], [0, 0, 1], [1, 1, 1]])
        >>> counts = [relevance_histograms(query, codes[rows], [7], [1, 7]) for rows in (slice(2), slice(2, 4))]
        >>> whole = counts[0] + counts[1]
        >>> first = precision_sums(query, codes[:2], [7], [1, 7], whole=whole)
        >>> second = precision_sums(query, codes[2:], [7], [1, 7], whole=whole, before=counts[0])
        >>> (first + second).average_precision(whole.relevant_totals, k=4)
        array([0.5])
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude, weights)
    labels = labels_of(selection, query_labels, db_labels)
    top = _validate.cut_off(k, max(int(whole.totals.max(initial=0)), 1))
    shape = len(selection.queries), selection.queries.farthest + 1
    for name, counts in (("whole", whole), ("before", before)):
        if counts is not None and counts.items.shape != shape:
            raise ValueError(f"{name}: expected histograms of {shape}, got {counts.items.shape}")
    if before is not None and ((before.items > whole.items).any() or (before.relevant > whole.relevant).any()):
        raise ValueError("before: expected no more items than in whole, got more")
    count, report = _validate.thread_count(threads), _validate.checked_progress(progress)
    return sums_of_all(selection, labels, top, threads=count, progress=report, whole=whole, before=before)


def sums_of_all(
    selection: Selection,
    labels: _labels.Labels,
    k: int,
    *,
    threads: int,
    progress: _validate.Progress | None,
    whole: RelevanceHistograms,
    before: RelevanceHistograms | None = None,
) -> PrecisionSums:
    """Those of all queries; arguments are checked."""
    of_all, of_parts = _arrays(whole), None if before is None else _arrays(before)

    def answer(group: Group, report: _validate.Progress | None) -> PrecisionSums:
        mine = slice(group.start, group.stop)
        taken = None if of_parts is None else (of_parts[0][mine].copy(), of_parts[1][mine].copy())
        counts = of_all[0][mine], of_all[1][mine]
        return _sums_of(group, report, labels=labels, k=k, threads=threads, whole=counts, before=taken)

    found = list(_answers.each_group(selection, answer, progress))
    return PrecisionSums(
        _answers.stacked([each.sums for each in found]), _answers.stacked([each.retrieved for each in found])
    )


def precision_by_index(
    selection: Selection,
    labels: _labels.Labels,
    k: int,
    *,
    normalizer: Normalizer,
    threads: int,
    progress: _validate.Progress | None,
) -> Scores:
    """Average precision at k, (q,), of checked arguments; k is at most the number of items.

    All is read twice, but histograms are in memory for a few thousand queries at a time.
    """

    def answer(group: Group, report: _validate.Progress | None) -> Scores:
        blocks = _sums_of_blocks(group, report, labels=labels, k=k, threads=threads)
        scores = [found.average_precision(relevant, k, normalizer) for found, relevant in blocks]
        return _answers.stacked(scores) if scores else np.empty(0)

    return _answers.stacked(list(_answers.each_group(selection, answer, progress)))


def _sums_of_blocks(
    group: Group, progress: _validate.Progress | None, *, labels: _labels.Labels, k: int, threads: int
) -> Iterator[tuple[PrecisionSums, Counts]]:
    """Those of the queries whose histograms are in memory, and the number of items relevant to each of them."""
    first, second = (_database.stage(progress, number, 2) for number in range(2))
    at_once, start = group.scan(second, beside=ROW_BYTES).whole, 0
    for items, relevant in histogram_blocks(group, first, labels=labels, threads=threads):
        block = group.part(start, start + len(items))
        report, counts = None if at_once else second, (items, relevant)
        found = _sums_of(block, report, labels=labels, k=k, threads=threads, whole=counts)
        yield found, relevant.sum(axis=1)
        start += len(items)
    if at_once and second is not None:
        second(len(group.database), len(group.database))


def _sums_of(
    group: Group,
    progress: _validate.Progress | None,
    *,
    labels: _labels.Labels,
    k: int,
    threads: int,
    whole: Histograms,
    before: Histograms | None = None,
) -> PrecisionSums:
    """Those of all ranges, one after the other, whose counts `before` takes up."""
    mine, excluded = labels.of_queries(group.start, group.stop), group.excluded
    scan = group.scan(progress, beside=ROW_BYTES)
    if before is None and not scan.whole:
        before = np.zeros_like(whole[0]), np.zeros_like(whole[1])
    found = PrecisionSums(np.zeros(len(group.queries)), np.zeros(len(group.queries), dtype=np.int64))
    items_before, relevant_before = before or (None, None)
    for each in scan:
        left_out = None if excluded is None else excluded.between(each.first, each.stop)
        _native.average_precision_by_index(
            *kernel_arguments(group, each, mine, labels.database(each.first, each.stop)),
            *whole,
            k,
            items_before,
            relevant_before,
            found.sums,
            found.retrieved,
            None if left_out is None else left_out.offsets,
            None if left_out is None else left_out.items,
            threads,
            group.queries.weights,
        )
    return found


def _arrays(histograms: RelevanceHistograms) -> Histograms:
    return np.ascontiguousarray(histograms.items), np.ascontiguousarray(histograms.relevant)
