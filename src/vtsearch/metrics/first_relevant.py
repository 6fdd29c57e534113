"""Metrics of whoever looks for one relevant item, or for as many as there are, expected under ties."""

from __future__ import annotations

import sys

import numpy as np

from vtsearch import _validate
from vtsearch.metrics.histograms import RelevanceHistograms, Scores, sum_of_first, top_positions


def hit_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """Hit@k of each query: the chance that a relevant item is among the top k, over all orders of tied items.

    Also called R@k where any of several relevant items will do (instance retrieval), unlike ``recall_at``.

    Args:
        histograms: from ``relevance_histograms``.
        k: at least 1; more than there are means all.

    Returns:
        (q,) float64; 0 where nothing is relevant.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1.
    """
    top, rows = top_positions(histograms, k), np.arange(len(histograms.items))
    last = np.minimum((histograms.within < top[:, None]).sum(axis=1), histograms.items.shape[1] - 1)  # of the cut
    items, relevant = histograms.items[rows, last], histograms.relevant[rows, last]
    inside = top - (histograms.within[rows, last] - items)
    certain = histograms.relevant_within[rows, last] > relevant  # one lies before the group at the cut
    cut = zip(items.tolist(), relevant.tolist(), inside.tolist(), strict=True)
    missed = np.array([_none_of(n, r, m) for n, r, m in cut])
    return np.where(certain, 1.0, 1.0 - missed)


def reciprocal_rank(histograms: RelevanceHistograms, k: int | None = None) -> Scores:
    """The reciprocal of the position of each query's first relevant item, the mean over all orders of tied items.

    Its mean over the queries is MRR.

    Args:
        histograms: from ``relevance_histograms``.
        k: positions that count, at least 1; a first relevant item beyond them counts 0. None means all.

    Returns:
        (q,) float64; 0 where nothing is relevant.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1.
    """
    top = _validate.cut_off(k, sys.maxsize)
    scores = np.zeros(len(histograms.items))
    for query in np.flatnonzero(histograms.relevant_totals):
        group = int(np.argmax(histograms.relevant[query] > 0))  # the nearest with a relevant item
        n, r = int(histograms.items[query, group]), int(histograms.relevant[query, group])
        before = int(histograms.within[query, group]) - n
        chances = _chances_of_first(n, r, min(n - r + 1, max(top - before, 0)))
        scores[query] = (chances / (before + np.arange(1, len(chances) + 1))).sum()
    return scores


def r_precision(histograms: RelevanceHistograms) -> Scores:
    """Precision at R of each query, R the number of its relevant items, expected under ties.

    Args:
        histograms: from ``relevance_histograms``.

    Returns:
        (q,) float64; 0 where nothing is relevant.
    """
    wanted = np.maximum(histograms.relevant_totals, 1)
    return np.where(histograms.relevant_totals > 0, sum_of_first(histograms, histograms.relevant, wanted) / wanted, 0.0)


def _none_of(n: int, r: int, m: int) -> float:
    """The chance that none of r relevant items is among the first m of n tied ones."""
    if m > n - r:
        return 0.0 if r else 1.0
    fewer, more = sorted((r, m))
    steps = np.arange(fewer)
    return float(np.prod((n - more - steps) / (n - steps)))


def _chances_of_first(n: int, r: int, count: int) -> Scores:
    """The chances that the first relevant item, of r in n tied ones, is at position 1, 2, ..., count."""
    passed = np.arange(max(count, 1) - 1)
    missed = np.concatenate([[1.0], np.cumprod((n - r - passed) / (n - passed))])  # the first i are not relevant
    return (missed * r / (n - np.arange(len(missed))))[:count]
