"""Retrieval metrics of codes and labels, exact under ties. docs/metrics.md has the formulas, reference.py in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _arrays, _native

Ties = Literal["expected", "index", "best", "worst"]
Normalizer = Literal["retrieved", "relevant", "min"]
Counts = NDArray[np.int64]
Sums = NDArray[np.float64]
Scores = NDArray[np.float64]

_TIES = ("expected", "index", "best", "worst")
_NORMALIZERS = ("retrieved", "relevant", "min")
_HISTOGRAM_BYTES = 8 * 2**20
_DENSE_ELEMENTS = 2**20


def average_precision(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any],
    query_labels: ArrayLike,
    db_labels: ArrayLike,
    k: int | None = None,
    *,
    ties: Ties = "expected",
    normalizer: Normalizer = "retrieved",
    threads: int | None = None,
) -> Scores:
    """Average precision at k of each query, over the database ranked by distance.

    Two items are relevant to each other if they share a label. No ranking is built, unless ties are broken by index.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, n at least 1, as for ``rank``.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels.
        k: positions that count, at least 1; None, or more than there are, means all.
        ties: how items at one distance are ordered. "expected": the exact mean over all their orders; "index": by
            index; "best" and "worst": the largest and smallest value that any order gives.
        normalizer: what the sum of precisions is divided by. "retrieved": relevant items in the top k (the hashing
            literature); "relevant": all relevant items (trec_eval); "min": the smaller of all relevant items and k.
        threads: upper bound; by default the CPUs that this process may use.

    Returns:
        (q,) float64 from 0 to 1; 0 for a query that meets nothing relevant.

    Raises:
        TypeError: codes that are not uint8; labels that are not numbers; k or threads that are not ints.
        ValueError: an empty database; shapes that do not fit; labels neither int (n,) nor 0/1 (n, classes); k or
            threads below 1; unknown ties or normalizer.

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
    queries, database = _arrays.code_pair(query_codes, db_codes)
    if not len(database):
        raise ValueError("db_codes: expected at least 1 code, got an empty database")
    labels = _arrays.label_pair(query_labels, db_labels, len(queries), len(database))
    top = _arrays.cut_off(k, len(database))
    count = _arrays.thread_count(threads)
    if ties == "index":
        query_rows, db_rows, classes = labels
        return _native.average_precision_by_index(
            queries, database, *_parts(query_rows), *_parts(db_rows), classes, top, normalizer, count
        )
    scores = np.empty(len(queries))
    for start, stop, items, relevant in _histogram_blocks(queries, database, labels, count):
        scores[start:stop] = _native.average_precision(items, relevant, top, ties, normalizer)
    return scores


def mean_average_precision(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any],
    query_labels: ArrayLike,
    db_labels: ArrayLike,
    k: int | None = None,
    *,
    ties: Ties = "expected",
    normalizer: Normalizer = "retrieved",
    threads: int | None = None,
) -> float:
    """The mean of ``average_precision`` over all queries, those that meet nothing relevant included.

    Args:
        query_codes: (q, bytes) uint8, q at least 1.
        db_codes: (n, bytes) uint8, n at least 1.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels.
        k: positions that count, at least 1; None, or more than there are, means all.
        ties: "expected", "index", "best" or "worst", as for ``average_precision``.
        normalizer: "retrieved", "relevant" or "min", as for ``average_precision``.
        threads: upper bound; by default the CPUs that this process may use.

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
    scores = average_precision(
        query_codes, db_codes, query_labels, db_labels, k, ties=ties, normalizer=normalizer, threads=threads
    )
    if not len(scores):
        raise ValueError("query_codes: expected at least 1 query to take a mean over, got none")
    return float(scores.mean())


@dataclass(frozen=True)
class RelevanceHistograms:
    """What lies at each distance from each query, as ``relevance_histograms`` counts it; metrics are made of this.

    Raises:
        ValueError: items and relevant that are not (q, bins) int64 of one shape with 0 <= relevant <= items.
    """

    items: Counts
    """(q, bins): items at each distance."""
    relevant: Counts
    """(q, bins): those among them that share a label with the query."""
    gains: Sums | None = None
    """(q, bins): sum of the number of shared labels."""
    exponential_gains: Sums | None = None
    """(q, bins): sum of 2 ** (number of shared labels) - 1."""
    gain_counts: Counts | None = None
    """(q, most shared labels + 1): items of the database that share 0, 1, 2, ... labels with the query."""

    def __post_init__(self) -> None:
        for name, counts in (("items", self.items), ("relevant", self.relevant)):
            if counts.dtype != np.int64 or counts.ndim != 2 or counts.shape != self.items.shape:
                raise ValueError(f"{name}: expected int64 (q, bins) of one shape, got {counts.dtype} {counts.shape}")
        if (self.relevant < 0).any() or (self.relevant > self.items).any():
            raise ValueError("relevant: expected counts from 0 to those of items, got others")


def relevance_histograms(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any],
    query_labels: ArrayLike,
    db_labels: ArrayLike,
    *,
    gains: bool = False,
    threads: int | None = None,
) -> RelevanceHistograms:
    """Items and relevant items at each distance from each query: all that the metrics under ties need.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels.
        gains: also sum the shared labels, as ``ndcg_at``, ``acg_at`` and ``wap_at`` need.
        threads: upper bound; by default the CPUs that this process may use.

    Returns:
        Arrays of (q, 8 * bytes + 1): 16 bytes per query and distance, 32 with gains.

    Raises:
        TypeError: codes that are not uint8; labels that are not numbers; threads that are not an int.
        ValueError: shapes that do not fit; labels neither int (n,) nor 0/1 (n, classes); threads below 1.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 1]])
        >>> vtsearch.metrics.relevance_histograms(codes[:1], codes, [7], [1, 7, 5, 7]).relevant
        array([[0, 1, 0, 1, 0, 0, 0, 0, 0]])
    """
    queries, database = _arrays.code_pair(query_codes, db_codes)
    query_rows, db_rows, classes = _arrays.label_pair(query_labels, db_labels, len(queries), len(database))
    count = _arrays.thread_count(threads)
    parts = (queries, database, *_parts(query_rows), *_parts(db_rows), classes, count)
    items, relevant = _native.relevance_histograms(*parts)
    if not gains:
        return RelevanceHistograms(items, relevant)
    linear, exponential = _native.gain_histograms(*parts)
    if min(query_rows.most(), db_rows.most()) <= 1:
        counts = np.stack([(items - relevant).sum(axis=1), relevant.sum(axis=1)], axis=1)
    else:
        counts = _gain_counts(query_rows, db_rows, classes, count)
    return RelevanceHistograms(items, relevant, linear, exponential, counts)


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
    top = 0 if k is None else _arrays.whole_number("k", k, 1)  # the engine's 0 is all
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
    return _top_sum(histograms, histograms.relevant, k) / _top(histograms, k)


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
    total: Counts = histograms.relevant.sum(axis=1)
    return _top_sum(histograms, histograms.relevant, k) / np.maximum(total, 1)


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
    total: Counts = histograms.relevant.sum(axis=1)
    return relevant / np.maximum(total, 1)


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
    return _top_sum(histograms, _gains(histograms)[0], k) / _top(histograms, k)


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
    top = _top(histograms, k)
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
    top = _top(histograms, k)
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


def _check_choices(ties: str, normalizer: str) -> None:
    _arrays.choice("ties", ties, _TIES)
    _arrays.choice("normalizer", normalizer, _NORMALIZERS)


def _parts(rows: _arrays.LabelRows) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    return rows.offsets, rows.classes


def _histogram_blocks(
    queries: _arrays.Codes,
    database: _arrays.Codes,
    labels: tuple[_arrays.LabelRows, _arrays.LabelRows, int],
    threads: int,
) -> Iterator[tuple[int, int, Counts, Counts]]:
    """Histograms of a few thousand queries at a time: all of them at once may be larger than the codes."""
    query_rows, db_rows, classes = labels
    step = max(1, _HISTOGRAM_BYTES // (16 * (8 * database.shape[1] + 1)))
    for start in range(0, len(queries), step):
        stop = min(start + step, len(queries))
        block = query_rows.rows(start, stop)
        yield (
            start,
            stop,
            *_native.relevance_histograms(
                queries[start:stop], database, *_parts(block), *_parts(db_rows), classes, threads
            ),
        )


def _gain_counts(query_rows: _arrays.LabelRows, db_rows: _arrays.LabelRows, classes: int, threads: int) -> Counts:
    """(q, most shared labels + 1), counted as codes, since label rows are bits too.

    A query with s labels that lies at distance d from an item with t labels shares (s + t - d) / 2 of them with it.
    """
    queries, database = _label_codes(query_rows, classes), _label_codes(db_rows, classes)
    query_sizes, db_sizes = np.diff(query_rows.offsets), np.diff(db_rows.offsets)
    most = min(query_rows.most(), db_rows.most())
    counts = np.zeros((len(queries), most + 1), dtype=np.int64)
    for size in np.unique(db_sizes).tolist():
        by_distance = _native.histogram(queries, database[db_sizes == size], None, threads)
        gain = np.arange(min(size, most) + 1)
        distance = query_sizes[:, None] + size - 2 * gain
        possible = (distance >= 0) & (distance < by_distance.shape[1])
        found = np.take_along_axis(by_distance, np.where(possible, distance, 0), axis=1)
        counts[:, : len(gain)] += np.where(possible, found, 0)
    return counts


def _label_codes(rows: _arrays.LabelRows, classes: int) -> _arrays.Codes:
    """(n, ceil(classes / 8)) packed label rows."""
    codes = np.empty((len(rows), (classes + 7) // 8), dtype=np.uint8)
    step = max(1, _DENSE_ELEMENTS // classes)
    for start in range(0, len(rows), step):
        block = rows.rows(start, min(start + step, len(rows)))
        dense = np.zeros((len(block), classes), dtype=np.bool_)
        dense[np.repeat(np.arange(len(block)), np.diff(block.offsets)), block.classes] = True
        codes[start : start + len(block)] = np.packbits(dense, axis=1)
    return codes


def _top(histograms: RelevanceHistograms, k: int) -> Counts:
    """(q,) positions in the top k, at least 1 as it is divided by."""
    total: Counts = histograms.items.sum(axis=1)
    return np.clip(total, 1, _arrays.whole_number("k", k, 1))


def _top_sum(histograms: RelevanceHistograms, sums: NDArray[Any], k: int) -> Scores:
    """(q,) what the top k hold of a sum by distance; a cut group gives its share."""
    items = histograms.items
    before = np.cumsum(items, axis=1) - items
    inside = np.clip(_top(histograms, k)[:, None] - before, 0, items)
    total: Scores = (sums * (inside / np.maximum(items, 1))).sum(axis=1)
    return total


def _within(histograms: RelevanceHistograms, radius: int) -> tuple[Counts, Counts]:
    """(q,) items and relevant items at a distance of at most radius."""
    bins = slice(_arrays.whole_number("radius", radius, 0) + 1)
    return histograms.items[:, bins].sum(axis=1), histograms.relevant[:, bins].sum(axis=1)


def _gains(histograms: RelevanceHistograms) -> tuple[Sums, Sums, Counts]:
    parts = histograms.gains, histograms.exponential_gains, histograms.gain_counts
    if parts[0] is None or parts[1] is None or parts[2] is None:
        raise ValueError("histograms: expected gains, got none; use relevance_histograms(..., gains=True)")
    return parts[0], parts[1], parts[2]


def _running_sum(terms: Sums) -> Sums:
    """Sums of the first 0, 1, 2, ... terms."""
    return np.concatenate([[0.0], np.cumsum(terms)])
