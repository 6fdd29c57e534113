"""Average precision, and precision and recall at a cut-off or within a radius."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _answers, _database, _native, _selection, _validate
from vtsearch._database import Database
from vtsearch._exclusions import Exclude
from vtsearch.metrics.by_index import precision_by_index
from vtsearch.metrics.histograms import (
    HISTOGRAM_BYTES,
    Counts,
    Normalizer,
    RelevanceHistograms,
    Scores,
    histogram_blocks,
    labels_of,
    top_positions,
    top_sum,
)

Ties = Literal["expected", "index", "best", "worst"]

_TIES = ("expected", "index", "best", "worst")
_NORMALIZERS = ("retrieved", "relevant", "min")


def average_precision(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    query_labels: ArrayLike,
    db_labels: ArrayLike | None = None,
    k: int | None = None,
    *,
    ties: Ties = "expected",
    normalizer: Normalizer = "retrieved",
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Scores:
    """Average precision at k of each query, over the database ranked by distance.

    Two items are relevant to each other if they share a label. No ranking is built, unless ties are broken by index.
    A larger file goes by in ranges, as for ``rank``, with its labels; of the histograms, all queries then have 16 bytes
    for each distance in memory. By index, all is read twice.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, n at least 1, as for ``rank``.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels; None with a ``Database`` that has labels.
        k: positions that count, at least 1; None, or more than there are, means all.
        ties: how items at one distance are ordered. "expected": the exact mean over all their orders; "index": by
            index; "best" and "worst": the largest and smallest value that any order gives.
        normalizer: what the sum of precisions is divided by. "retrieved": relevant items in the top k (the hashing
            literature); "relevant": all relevant items (trec_eval); "min": the smaller of all relevant items and k.
        mask: (n,) bool, or (q, n) with a row for each query, or packed bits, as for ``rank``; items whose mask is False
            are ignored.
        exclude: positions that a query ignores: (q,), a sequence of q arrays, or "self", as for ``rank``.
        weights: (q, bits) integers: what each bit of a query counts, as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.

    Returns:
        (q,) float64 from 0 to 1; 0 for a query that meets nothing relevant.

    Raises:
        TypeError: codes that are not uint8; labels that are not numbers; a mask, positions or weights of another dtype;
            k or threads that are not ints; progress that is not a function.
        ValueError: an empty database; shapes that do not fit; labels neither int (n,) nor 0/1 (n, classes); positions
            outside the database; weights that ``rank`` refuses; k or threads below 1; unknown ties or normalizer.

    Source:
        McSherry and Najork, ECIR 2008; He et al., CVPR 2018.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 1]])
        >>> vtsearch.average_precision(codes[:1], codes, [7], [1, 7, 5, 7])  # items 1 and 2 are tied
        array([0.45833333])
        >>> vtsearch.average_precision(codes[:1], codes, [7], [1, 7, 5, 7], ties="best")
        array([0.5])
    """
    _check_choices(ties, normalizer)
    if mask is None and exclude is None and weights is None and progress is None and ties != "index":
        most, limits = _validate.thread_count(threads), (_database.RANGE_BYTES, HISTOGRAM_BYTES)
        sides = query_codes, db_codes, query_labels, db_labels
        plain = _native.average_precision_plain(*sides, k, ties, normalizer, most, *limits)
        if plain is not None:
            return plain
    selection = _selection.select(query_codes, db_codes, mask, exclude, weights)
    if not len(selection.database):
        raise ValueError("db_codes: expected at least 1 code, got an empty database")
    labels = labels_of(selection, query_labels, db_labels)
    top = _validate.cut_off(k, len(selection.database))
    count = _validate.thread_count(threads)
    report = _validate.checked_progress(progress)
    if ties == "index":
        return precision_by_index(selection, labels, top, normalizer=normalizer, threads=count, progress=report)

    def answer(group: _selection.Group, report: _validate.Progress | None) -> Scores:
        blocks = histogram_blocks(group, report, labels=labels, threads=count)
        scores = [_native.average_precision(items, relevant, top, ties, normalizer) for items, relevant in blocks]
        return _answers.stacked(scores) if scores else np.empty(0)

    return _answers.stacked(list(_answers.each_group(selection, answer, report)))


def mean_average_precision(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    query_labels: ArrayLike,
    db_labels: ArrayLike | None = None,
    k: int | None = None,
    *,
    ties: Ties = "expected",
    normalizer: Normalizer = "retrieved",
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> float:
    """The mean of ``average_precision`` over all queries, those that meet nothing relevant included.

    Args:
        query_codes: (q, bytes) uint8, q at least 1.
        db_codes: (n, bytes) uint8, n at least 1.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels; None with a ``Database`` that has labels.
        k: positions that count, at least 1; None, or more than there are, means all.
        ties: "expected", "index", "best" or "worst", as for ``average_precision``.
        normalizer: "retrieved", "relevant" or "min", as for ``average_precision``.
        mask: (n,) bool, or (q, n) with a row for each query, or packed bits, as for ``rank``; items whose mask is False
            are ignored.
        exclude: positions that a query ignores: (q,), a sequence of q arrays, or "self", as for ``rank``.
        weights: (q, bits) integers: what each bit of a query counts, as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.

    Returns:
        A float from 0 to 1.

    Raises:
        TypeError: as ``average_precision``.
        ValueError: as ``average_precision``; no queries.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])
        >>> vtsearch.mean_average_precision(codes, codes, [0, 0, 1, 1], [0, 0, 1, 1])
        1.0
    """
    data = query_codes, db_codes, query_labels, db_labels
    choices: dict[str, Any] = {"ties": ties, "normalizer": normalizer, "mask": mask, "exclude": exclude}
    scores = average_precision(*data, k, **choices, weights=weights, threads=threads, progress=progress)
    if not len(scores):
        raise ValueError("query_codes: expected at least 1 query to take a mean over, got none")
    return float(scores.mean())


def average_precision_of(
    histograms: RelevanceHistograms,
    k: int | None = None,
    *,
    ties: Literal["expected", "best", "worst"] = "expected",
    normalizer: Normalizer = "retrieved",
) -> Scores:
    """Average precision at k of each query, as ``average_precision``, from histograms made before.

    Args:
        histograms: from ``relevance_histograms``.
        k: positions that count, at least 1; None, or more than there are, means all.
        ties: "expected", "best" or "worst"; histograms do not know the order by index.
        normalizer: "retrieved", "relevant" or "min".

    Returns:
        (q,) float64.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1; unknown ties or normalizer; ties="index".
    """
    _check_choices(ties, normalizer)
    if ties == "index":  # type: ignore[comparison-overlap]
        raise ValueError("ties: expected expected, best or worst of histograms, got 'index'; use average_precision")
    top = _validate.cut_off(k, sys.maxsize)
    items, relevant = np.ascontiguousarray(histograms.items), np.ascontiguousarray(histograms.relevant)
    return _native.average_precision(items, relevant, top, ties, normalizer)


def precision_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """P@k of each query: the share of relevant items among the top k, expected under ties.

    Args:
        histograms: from ``relevance_histograms``.
        k: at least 1; more than there are means all.

    Returns:
        (q,) float64.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1.
    """
    return top_sum(histograms, histograms.relevant, k) / top_positions(histograms, k)


def recall_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """R@k of each query: the share of its relevant items that are among the top k, expected under ties.

    Args:
        histograms: from ``relevance_histograms``.
        k: at least 1; more than there are means all.

    Returns:
        (q,) float64; 0 where nothing is relevant.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1.
    """
    return top_sum(histograms, histograms.relevant, k) / np.maximum(histograms.relevant_totals, 1)


def precision_within(histograms: RelevanceHistograms, radius: int) -> Scores:
    """The share of relevant items among those within a radius (hash lookup) of each query.

    Args:
        histograms: from ``relevance_histograms``.
        radius: largest distance that counts, at least 0; 2 is usual.

    Returns:
        (q,) float64; 0 where nothing lies within the radius.

    Raises:
        TypeError: radius that is not an int.
        ValueError: radius below 0.
    """
    found, relevant = _within(histograms, radius)
    return relevant / np.maximum(found, 1)


def recall_within(histograms: RelevanceHistograms, radius: int) -> Scores:
    """The share of its relevant items that lie within a radius of each query.

    Args:
        histograms: from ``relevance_histograms``.
        radius: largest distance that counts, at least 0.

    Returns:
        (q,) float64; 0 where nothing is relevant.

    Raises:
        TypeError: radius that is not an int.
        ValueError: radius below 0.
    """
    _, relevant = _within(histograms, radius)
    return relevant / np.maximum(histograms.relevant_totals, 1)


def _check_choices(ties: str, normalizer: str) -> None:
    _validate.choice("ties", ties, _TIES)
    _validate.choice("normalizer", normalizer, _NORMALIZERS)


def _within(histograms: RelevanceHistograms, radius: int) -> tuple[Counts, Counts]:
    """(q,) items and relevant items at a distance of at most radius."""
    last = min(_validate.whole_number("radius", radius, 0), histograms.items.shape[1] - 1)
    return histograms.within[:, last], histograms.relevant_within[:, last]
