"""Codes and labels to an ``Evaluation``: in one call, or from what was counted before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch import _database, _selection, _validate
from vtsearch._database import Database
from vtsearch.evaluation.evaluation import CutOff, Evaluation, Gains, RadiusPoint, TiedScore
from vtsearch.evaluation.statistics import bootstrap_interval
from vtsearch.metrics import (
    RelevanceHistograms,
    acg_at,
    average_precision_of,
    hit_at,
    ndcg_at,
    precision_at,
    precision_within,
    r_precision,
    recall_at,
    recall_within,
    reciprocal_rank,
    vote_accuracy,
    wap_at,
)
from vtsearch.metrics.by_index import sums_of_all
from vtsearch.metrics.histograms import histograms_of_all, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._exclusions import Exclude
    from vtsearch.metrics import Normalizer
    from vtsearch.metrics.histograms import Scores

CUT_OFFS = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
PUBLISHED_CURVE = (1, *range(500, 10_001, 500))
"""Where the published code measures precision and recall for its figure.

Source: Dubey et al., "Vision Transformer Hashing for Image Retrieval", ICME 2022, figure 2.
"""
LOOKUP_RADIUS = 2

_BITS_BYTES = 8  # codes of so many bytes that are all 0 or 1 are bits, one in each byte
_BITS_ROWS = 1000  # that are looked at


def evaluate(
    query_codes: NDArray[np.uint8],
    db_codes: NDArray[np.uint8] | Database,
    query_labels: NDArray[np.generic],
    db_labels: NDArray[np.generic] | None = None,
    k: int | None = None,
    *,
    normalizer: Normalizer = "retrieved",
    bits: int | None = None,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """All scores of these codes: mAP@k with its tie bounds and its bootstrap interval, P@N, R@N, curves, and gains.

    The tie bounds cover the order of tied items, the interval the choice of queries.

    A larger file of codes is read in ranges, twice.

    Args:
        query_codes: (q, bytes) uint8, packed; q at least 1.
        db_codes: (n, bytes) uint8 of the same width; n at least 1.
        query_labels: int64 (q,), or 0/1 (q, classes).
        db_labels: int64 (n,), or 0/1 (n, classes): the same form; None with a ``Database`` that has labels.
        k: length of the list that counts, at least 1; None, or more than n, means the whole database.
        normalizer: what average precision divides by: "retrieved", "relevant" or "min".
        bits: length of the codes, if their last byte has bits to spare; by default 8 per byte.
        mask: (n,) bool, or (q, n) with a row for each query, or packed bits, as for ``rank``; items whose mask is False
            are ignored.
        exclude: positions that a query ignores: (q,), a sequence of q arrays, or "self", as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scans go on.

    Raises:
        TypeError: codes that are not uint8, labels that are not numbers, bits that are not an int, a mask or positions
            of another dtype, progress that is not a function.
        ValueError: no queries or no database, other widths or lengths, k below 1, an unknown normalizer; bits that
            another number of bytes holds, or fewer than two codes differ in; codes that are not packed; a mask that
            allows nothing; positions outside the database.
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude)
    check_codes("query_codes", [selection.queries.codes])
    check_codes("db_codes", selection.database.parts)
    bits = checked_bits(bits, selection.database.width)
    labels = labels_of(selection, query_labels, db_labels)
    multi_label = _validate.as_array("query_labels", query_labels).ndim == 2
    count, report = _validate.thread_count(threads), _validate.checked_progress(progress)
    first, second = (_database.stage(report, number, 2) for number in range(2))
    histograms = histograms_of_all(selection, first, labels=labels, threads=count, gains=multi_label)
    check_histograms(histograms, bits)
    top = _validate.cut_off(k, len(selection.database))
    sums = sums_of_all(selection, labels, top, threads=count, progress=second, whole=histograms)
    by_index = sums.average_precision(histograms.relevant_totals, top, normalizer)
    excluded = 0 if selection.excluded is None else int(selection.excluded.counts().sum())
    return evaluation_of(histograms, by_index, k, normalizer=normalizer, bits=bits, excluded=excluded)


def with_vote(
    evaluation: Evaluation,
    query_codes: NDArray[np.uint8],
    db_codes: NDArray[np.uint8] | Database,
    query_labels: NDArray[np.generic],
    db_labels: NDArray[np.generic] | None = None,
    *,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    threads: int | None = None,
) -> Evaluation:
    """The evaluation with the accuracy of the vote of the nearest items; as it was for several labels.

    Args:
        evaluation: of these codes and labels.
        query_codes: (q, bytes) uint8.
        db_codes: (n, bytes) uint8.
        query_labels: int64 (q,), or 0/1 (q, classes).
        db_labels: int64 (n,), or 0/1 (n, classes); None with a ``Database`` that has labels.
        mask: that of the evaluation.
        exclude: that of the evaluation.
        threads: upper bound; by default the CPUs that this process may use.
    """
    if evaluation.multi_label:
        return evaluation
    right = vote_accuracy(query_codes, db_codes, query_labels, db_labels, mask=mask, exclude=exclude, threads=threads)
    return replace(evaluation, vote=_mean(right))


def evaluation_of(
    histograms: RelevanceHistograms,
    by_index: Scores,
    k: int | None = None,
    *,
    normalizer: Normalizer = "retrieved",
    bits: int,
    excluded: int = 0,
) -> Evaluation:
    """All scores of a whole database from what was counted, in one piece or in parts.

    Args:
        histograms: of all items, from ``relevance_histograms``; with gains for multi-label sets, and only for these.
        by_index: (q,) float64, average precision at the same k with ties broken by index, which histograms do not tell.
        k: length of the list that counts, at least 1; None, or more than there are, means all.
        normalizer: what average precision divides by, also that of by_index.
        bits: length of the codes, at most the largest distance that histograms have a column for.
        excluded: pairs of a query and an item that were left out.

    Raises:
        TypeError: k that is not an int.
        ValueError: by_index of another length than the queries; k below 1; an unknown normalizer; bits that some code
            differs in more of; histograms without an item.
    """
    if by_index.shape != histograms.totals.shape:
        raise ValueError(
            f"by_index: expected {histograms.totals.shape} scores, one for each query, got {by_index.shape}"
        )
    n = check_histograms(histograms, bits)
    expected = average_precision_of(histograms, k, normalizer=normalizer)
    best = average_precision_of(histograms, k, ties="best", normalizer=normalizer)
    worst = average_precision_of(histograms, k, ties="worst", normalizer=normalizer)
    multi_label = histograms.gains is not None
    return Evaluation(
        queries=len(expected),
        database=n,
        bits=bits,
        multi_label=multi_label,
        k=None if k is None else int(k),
        normalizer=normalizer,
        mean_average_precision=TiedScore(*map(_mean, (expected, by_index, best, worst))),
        bootstrap_interval=bootstrap_interval(expected) if len(expected) > 1 else None,
        chance=_mean(histograms.relevant_totals / np.maximum(histograms.totals, 1)),
        mean_reciprocal_rank=_mean(reciprocal_rank(histograms)),
        r_precision=_mean(r_precision(histograms)),
        precision_within_2=_mean(precision_within(histograms, LOOKUP_RADIUS)),
        cut_offs=_cut_offs(histograms, CUT_OFFS, n),
        published_curve=_cut_offs(histograms, PUBLISHED_CURVE, n),
        radius_curve=tuple(_within(histograms, radius) for radius in range(bits + 1)),
        gains=_gains(histograms, n if k is None else k) if multi_label else None,
        average_precisions=tuple(expected.tolist()),
        excluded=excluded,
    )


def check_codes(name: str, parts: Sequence[NDArray[np.uint8]]) -> None:
    """Raise if there are no codes, or if they hold one bit in each byte."""
    if not sum(map(len, parts)):
        raise ValueError(f"{name}: expected at least one code, got none")
    if all(map(_are_bits, parts)) and any(part[:_BITS_ROWS].any() for part in parts):
        raise ValueError(
            f"{name}: expected packed codes of 8 bits per byte, got {parts[0].shape[1]} bytes per code "
            f"that are all 0 or 1; use vtsearch.pack({name})"
        )


def _are_bits(codes: NDArray[np.uint8]) -> bool:
    """Whether the first codes hold a bit in each byte; short ones may by chance."""
    return codes.shape[1] >= _BITS_BYTES and bool((codes[:_BITS_ROWS] <= 1).all())


def checked_bits(bits: Any, width: int) -> int:
    """The length of codes of so many bytes; None means 8 for each byte."""
    if bits is None:
        return 8 * width
    count = _validate.whole_number("bits", bits, 1)
    if not 8 * (width - 1) < count <= 8 * width:
        raise ValueError(f"bits: expected {8 * width - 7} to {8 * width} for codes of {width} bytes, got {count}")
    return count


def check_histograms(histograms: RelevanceHistograms, bits: int) -> int:
    """The most items that a query may find; raise if it is 0, or if codes differ in more bits than they have."""
    if histograms.items[:, bits + 1 :].any():
        farthest = int(np.flatnonzero(histograms.items.any(axis=0)).max())
        raise ValueError(f"bits: expected at least {farthest}, the bits in which two codes differ, got {bits}")
    n = int(histograms.totals.max(initial=0))
    if n == 0:
        raise ValueError("mask: expected at least one item that a query may find, got none")
    return n


def _cut_offs(histograms: RelevanceHistograms, at: Iterable[int], database: int) -> tuple[CutOff, ...]:
    return tuple(
        CutOff(n, *(_mean(score(histograms, n)) for score in (precision_at, recall_at, hit_at)))
        for n in at
        if n <= database
    )


def _within(histograms: RelevanceHistograms, radius: int) -> RadiusPoint:
    found = histograms.within[:, radius]
    precision, recall = precision_within(histograms, radius), recall_within(histograms, radius)
    return RadiusPoint(radius, _mean(found), _mean(precision), _mean(recall))


def _gains(histograms: RelevanceHistograms, k: int) -> Gains:
    return Gains(_mean(ndcg_at(histograms, k)), _mean(acg_at(histograms, k)), _mean(wap_at(histograms, k)))


def _mean(scores: NDArray[np.float64] | NDArray[np.int64]) -> float:
    return float(np.mean(scores))
