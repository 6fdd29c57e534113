"""Metrics of how many labels are shared, for items with several: ACG, NDCG and WAP, expected under ties."""

from __future__ import annotations

import sys

import numpy as np

from vtsearch import _native, _validate
from vtsearch.metrics.histograms import Counts, RelevanceHistograms, Scores, Sums, top_positions, top_sum


def acg_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """Average cumulative gain of each query: the mean number of labels shared by the top k, expected under ties.

    Args:
        histograms: from ``relevance_histograms(..., gains=True)``.
        k: at least 1; more than there are means all.

    Returns:
        (q,) float64.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1; histograms without gains.

    Source:
        Järvelin and Kekäläinen, SIGIR 2000.
    """
    return top_sum(histograms, _gains(histograms)[0], k) / top_positions(histograms, k)


def ndcg_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """Normalized discounted cumulative gain of each query at k, expected under ties.

    The sum over the top k of (2 ** shared labels - 1) / log2(1 + position), relative to that of the best order.

    Args:
        histograms: from ``relevance_histograms(..., gains=True)``.
        k: at least 1; more than there are means all.

    Returns:
        (q,) float64 from 0 to 1; 0 where nothing is relevant.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1; histograms without gains.

    Source:
        Järvelin and Kekäläinen, TOIS 2002; under ties McSherry and Najork, ECIR 2008.
    """
    _, exponential, counts = _gains(histograms)
    top = top_positions(histograms, k)
    discounts = _running_sum(1 / np.log2(2 + np.arange(top.max(initial=0))))

    def discounted(means: Sums, items: Counts) -> Sums:
        stop = np.minimum(np.cumsum(items, axis=1), top[:, None])
        total: Sums = (means * np.diff(discounts[stop], axis=1, prepend=0.0)).sum(axis=1)
        return total

    found = discounted(exponential / np.maximum(histograms.items, 1), histograms.items)
    best_first = np.arange(counts.shape[1])[::-1]
    ideal = discounted(np.broadcast_to(2.0**best_first - 1, counts.shape), counts[:, best_first])
    return np.asarray(found / np.where(ideal > 0, ideal, 1.0))


def wap_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """Weighted average precision of each query at k: ACG at the position in place of precision, expected under ties.

    Args:
        histograms: from ``relevance_histograms(..., gains=True)``.
        k: at least 1; more than there are means all.

    Returns:
        (q,) float64, above 1 if items share several labels; 0 where the top k hold nothing relevant.

    Raises:
        TypeError: k that is not an int.
        ValueError: k below 1; histograms without gains.

    Source:
        Zhang et al., "Improved deep hashing with soft pairwise similarity for multi-label image retrieval", TMM 2020;
        the expectation is that of average precision with the mean gain of relevant items in place of 1.
    """
    gains = _gains(histograms)[0]
    cut = _validate.whole_number("k", k, 1, sys.maxsize)
    return _native.weighted_average_precision(histograms.items, histograms.relevant, gains, cut)


def _gains(histograms: RelevanceHistograms) -> tuple[Sums, Sums, Counts]:
    parts = histograms.gains, histograms.exponential_gains, histograms.gain_counts
    if parts[0] is None or parts[1] is None or parts[2] is None:
        raise ValueError("histograms: expected gains, got none; use relevance_histograms(..., gains=True)")
    return parts[0], parts[1], parts[2]


def _running_sum(terms: Sums) -> Sums:
    """Sums of the first 0, 1, 2, ... terms."""
    return np.concatenate([[0.0], np.cumsum(terms)])
