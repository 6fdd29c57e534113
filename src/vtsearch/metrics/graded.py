"""Metrics of how many labels are shared, for items with several: ACG, NDCG and WAP, expected under ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    top = top_positions(histograms, k)
    harmonic = _running_sum(1 / (1 + np.arange(top.max(initial=0))))
    items, relevant = histograms.items, histograms.relevant
    before = np.cumsum(items, axis=1) - items
    inside = np.clip(top[:, None] - before, 0, items)
    stop = np.minimum(before, top[:, None])
    rows = _GroupSums(
        before=before,
        inside=inside,
        reciprocals=harmonic[stop + inside] - harmonic[stop],
        gain_before=np.cumsum(gains, axis=1) - gains,
        gain=gains / np.maximum(relevant, 1),
    )
    cut = (inside > 0) & (inside < items)
    sums = np.where(cut, 0.0, rows.expected(items, relevant)).sum(axis=1)
    met = np.where(inside == items, relevant, 0).sum(axis=1)
    scores: Scores = sums / np.maximum(met, 1)
    for q, d in np.argwhere(cut).tolist():
        t, chance = _hypergeometric(int(items[q, d]), int(relevant[q, d]), int(inside[q, d]))
        group = rows.at(q, d).expected(inside[q, d], t)
        scores[q] = (chance * (sums[q] + group) / np.maximum(met[q] + t, 1)).sum()
    return scores


@dataclass(frozen=True)
class _GroupSums:
    """One entry for each group of tied items."""

    before: Any
    inside: Any
    reciprocals: Any  # sum of 1 / position over the positions inside the cut
    gain_before: Any
    gain: Any  # mean gain of the group's relevant items

    def at(self, q: int, d: int) -> _GroupSums:
        return _GroupSums(
            self.before[q, d], self.inside[q, d], self.reciprocals[q, d], self.gain_before[q, d], self.gain[q, d]
        )

    def expected(self, items: Any, relevant: Any) -> Any:
        """The mean sum of ACG at the relevant positions inside, when ``relevant`` of ``items`` are relevant."""
        others = (relevant - 1) / np.maximum(items - 1, 1) * (self.inside - (self.before + 1) * self.reciprocals)
        counted = (self.gain_before + self.gain) * self.reciprocals + self.gain * others
        return np.where(relevant > 0, relevant / np.maximum(items, 1) * counted, 0.0)


def _hypergeometric(n: int, r: int, m: int) -> tuple[Counts, Sums]:
    """How many of m items drawn from n, of which r are relevant, are relevant: all values and their chances."""
    t = np.arange(max(0, m - n + r), min(m, r) + 1)
    ratios = (r - t[:-1]) * (m - t[:-1]) / ((t[:-1] + 1) * (n - r - m + t[:-1] + 1))
    mode = int((ratios > 1).sum())  # ratios fall: outward from the mode nothing overflows, and errors stay small
    below = np.cumprod(1 / ratios[:mode][::-1])[::-1]
    chances = np.concatenate([below, [1.0], np.cumprod(ratios[mode:])])
    return t, chances / chances.sum()


def _gains(histograms: RelevanceHistograms) -> tuple[Sums, Sums, Counts]:
    parts = histograms.gains, histograms.exponential_gains, histograms.gain_counts
    if parts[0] is None or parts[1] is None or parts[2] is None:
        raise ValueError("histograms: expected gains, got none; use relevance_histograms(..., gains=True)")
    return parts[0], parts[1], parts[2]


def _running_sum(terms: Sums) -> Sums:
    """Sums of the first 0, 1, 2, ... terms."""
    return np.concatenate([[0.0], np.cumsum(terms)])
