"""Every answer of ``ranking`` and ``metrics`` in plain numpy: the definition of each number, for small inputs.

Nothing here is fast and nothing here is shared with the engine; tests and benchmarks compare the engine with it.
Names and arguments are those of the public functions, less ``threads`` and the checks of arguments. Codes are
(n, bytes) uint8; a result over distances has one column for each of 0 .. 8 * bytes.

``weights`` are (q, bits) integers: what a bit counts where a query and an item differ; None counts 1 for each.
``mask`` is bool (n,) or (q, n), uint8 as ``numpy.packbits`` makes it along the last axis, or positions (m,);
``exclude`` is (q,) positions with -1 for none, q arrays of positions, or "self". Items outside the mask, or excluded,
do not exist for that query.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Codes = NDArray[np.uint8]
Counts = NDArray[np.int64]
Scores = NDArray[np.float64]
Ties = Literal["expected", "index", "best", "worst"]
Normalizer = Literal["retrieved", "relevant", "min"]
Exclude = Array | Sequence[Any] | Literal["self"]


# ---------------------------------------------------------------------------------------------------------------------
# Codes


def pack(values: Array, *, bitorder: Literal["big", "little"] = "big") -> Codes:
    """(n, bits) features, bool or 0/1 to (n, ceil(bits / 8)) codes: bit i is ``values[:, i] > 0``."""
    return np.packbits(np.asarray(values) > 0, axis=1, bitorder=bitorder)


def unpack(codes: Codes, bits: int, *, bitorder: Literal["big", "little"] = "big") -> NDArray[np.uint8]:
    """(n, bytes) codes to (n, bits) of 0 and 1."""
    return np.unpackbits(codes, axis=1, count=bits, bitorder=bitorder)


def query_weights(features: Array, *, levels: int = 63) -> NDArray[np.uint8]:
    """(q, bits): the sizes of features, of which the largest of each query is ``levels``; 0 if all of them are 0."""
    weights = np.zeros(np.shape(features), dtype=np.uint8)
    for row, sizes in zip(weights, np.abs(np.asarray(features, dtype=np.float64)), strict=True):
        if sizes.any():
            row[:] = np.rint(sizes / sizes.max() * levels)
    return weights


# ---------------------------------------------------------------------------------------------------------------------
# Distances and orders


class Ranking(NamedTuple):
    """(q, k) distances and indices, nearest first."""

    distances: NDArray[np.int32]
    indices: NDArray[np.int64]


class Neighbors(NamedTuple):
    """Query q has ``distances[offsets[q]:offsets[q + 1]]`` and the same slice of indices."""

    offsets: NDArray[np.int64]
    distances: NDArray[np.int32]
    indices: NDArray[np.int64]


def distances(query_codes: Codes, db_codes: Codes, *, weights: Array | None = None) -> NDArray[np.int32]:
    """(q, n): the number of bits in which a query and a database code differ, or the sum of their weights."""
    if weights is not None:
        return weighted_distances(query_codes, db_codes, weights)
    result = np.zeros((len(query_codes), len(db_codes)), dtype=np.int32)
    for query, row in zip(query_codes, result, strict=True):
        row[:] = np.bitwise_count(db_codes ^ query).sum(axis=1)
    return result


def weighted_distances(query_codes: Codes, db_codes: Codes, weights: Array) -> NDArray[np.int32]:
    """(q, n): the sum of the weights of the bits in which a query and a database code differ."""
    result = np.zeros((len(query_codes), len(db_codes)), dtype=np.int32)
    for query, counts, row in zip(query_codes, weights, result, strict=True):
        row[:] = np.unpackbits(db_codes ^ query, axis=1, count=len(counts)) @ counts.astype(np.int32)
    return result


def rank(
    query_codes: Codes,
    db_codes: Codes,
    k: int | None = None,
    *,
    mask: Array | None = None,
    exclude: Exclude | None = None,
    weights: Array | None = None,
) -> Ranking:
    """The k nearest allowed items of each query, ordered by (distance, index); as many as every query has."""
    orders = _orders(query_codes, db_codes, mask, exclude, weights)
    n = len(db_codes)
    shared = n if mask is None or mask.ndim == 2 else int(_allowed(mask, None, 1, n).sum())  # what no query bounds
    columns = min([shared, shared if k is None else k, *(len(order.indices) for order in orders)])
    shape = len(query_codes), columns
    return Ranking(
        np.array([order.distances[:columns] for order in orders], dtype=np.int32).reshape(shape),
        np.array([order.indices[:columns] for order in orders], dtype=np.int64).reshape(shape),
    )


def within(
    query_codes: Codes,
    db_codes: Codes,
    radius: int,
    *,
    mask: Array | None = None,
    exclude: Exclude | None = None,
    weights: Array | None = None,
) -> Neighbors:
    """All allowed items at a distance of at most ``radius``, ordered by (distance, index)."""
    orders = _orders(query_codes, db_codes, mask, exclude, weights)
    found = [(row[row <= radius], indices[row <= radius]) for row, indices in orders]
    offsets = np.cumsum([0, *(len(row) for row, _ in found)]).astype(np.int64)
    return Neighbors(
        offsets,
        np.concatenate([np.empty(0, dtype=np.int32), *(row for row, _ in found)]),
        np.concatenate([np.empty(0, dtype=np.int64), *(indices for _, indices in found)]),
    )


def count(
    query_codes: Codes,
    db_codes: Codes,
    radius: int,
    *,
    mask: Array | None = None,
    exclude: Exclude | None = None,
    weights: Array | None = None,
) -> Counts:
    """(q,): allowed items within the radius of each query."""
    allowed = _allowed(mask, exclude, len(query_codes), len(db_codes))
    found: Counts = ((distances(query_codes, db_codes, weights=weights) <= radius) & allowed).sum(axis=1)
    return found


def histogram(
    query_codes: Codes,
    db_codes: Codes,
    *,
    mask: Array | None = None,
    exclude: Exclude | None = None,
    weights: Array | None = None,
) -> Counts:
    """(q, largest distance + 1): how many allowed items lie at each distance."""
    allowed = _allowed(mask, exclude, len(query_codes), len(db_codes))
    return _sum_by_distance(query_codes, db_codes, allowed, weights).astype(np.int64)


def rescore(candidates: Array, query_codes: Codes, db_codes: Codes, weights: Array, k: int | None = None) -> Ranking:
    """The candidates (q, c) of each query, ordered by (weighted distance, index)."""
    rows = np.take_along_axis(weighted_distances(query_codes, db_codes, weights), candidates, axis=1)
    order = np.lexsort((candidates, rows), axis=1)[:, :k]
    return Ranking(
        np.take_along_axis(rows, order, axis=1), np.take_along_axis(candidates, order, axis=1).astype(np.int64)
    )


def deduplicate(codes: Codes, radius: int, *, max_diameter: int | None = None) -> NDArray[np.int64]:
    """(n,): the smallest index of each item's group; items within ``radius`` bits of each other share a group.

    With ``max_diameter`` a group starts at the first item that is in none, and grows: of the items within the radius
    of one of its items and within ``max_diameter`` of all of them, the one nearest to its first item joins, the first
    of several, until there is none. Without a bound that gives the same groups.
    """
    apart = distances(codes, codes)
    if max_diameter is not None:
        return _bounded_groups(apart, radius, max_diameter)
    near = apart <= radius
    groups = np.arange(len(codes))
    while True:
        smallest = np.where(near, groups, len(codes)).min(axis=1, initial=len(codes))  # of the items that are near
        if np.array_equal(smallest, groups):
            return groups
        groups = smallest[smallest]  # that one's group is this one's as well: long chains are crossed in a few rounds


def _bounded_groups(apart: NDArray[np.int32], radius: int, max_diameter: int) -> NDArray[np.int64]:
    groups = np.full(len(apart), -1)
    for first in range(len(apart)):
        if groups[first] >= 0:
            continue
        member = np.arange(len(apart)) == first
        while True:
            within = (apart[member] <= max_diameter).all(axis=0)
            joining = np.flatnonzero((groups < 0) & ~member & within & (apart[member] <= radius).any(axis=0))
            if len(joining) == 0:
                break
            member[joining[apart[first, joining].argmin()]] = True
        groups[member] = first
    return groups


def diameters(codes: Codes, representatives: NDArray[np.int64]) -> Counts:
    """For each group of more than one item, in the order of their first ones, the largest distance in it."""
    firsts, sizes = np.unique(representatives, return_counts=True)
    groups = [codes[representatives == first] for first in firsts[sizes > 1]]
    return np.array([distances(group, group).max() for group in groups], dtype=np.int64)


class Matches(NamedTuple):
    """(n,) distances and indices of the nearest old items, -1 for none."""

    distances: NDArray[np.int32]
    indices: NDArray[np.int64]


def matches(codes: Codes, against: Codes, radius: int) -> Matches:
    """For each item the first of the old ones, in the order of (distance, index), within the radius."""
    found = Matches(np.full(len(codes), -1, dtype=np.int32), np.full(len(codes), -1))
    for i, order in enumerate(_orders(codes, against, None, None, None)):
        if len(order.distances) and order.distances[0] <= radius:
            found.distances[i], found.indices[i] = order.distances[0], order.indices[0]
    return found


def kept(representatives: NDArray[np.int64], matched: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Ascending indices of the first items of groups in which no item matches an old one."""
    items = np.arange(len(representatives))
    return np.flatnonzero((representatives == items) & ~np.isin(items, representatives[matched]))


def _orders(
    query_codes: Codes, db_codes: Codes, mask: Array | None, exclude: Exclude | None, weights: Array | None
) -> list[Ranking]:
    """For each query its distances to all allowed items and their indices, ordered by (distance, index)."""
    orders = []
    allowed = _allowed(mask, exclude, len(query_codes), len(db_codes))
    for row, chosen in zip(distances(query_codes, db_codes, weights=weights), allowed, strict=True):
        indices = np.flatnonzero(chosen).astype(np.int64)
        order = np.argsort(row[indices], kind="stable")  # stable: tied items stay in the order of their index
        orders.append(Ranking(row[indices][order], indices[order]))
    return orders


def _allowed(mask: Array | None, exclude: Exclude | None, q: int, n: int) -> NDArray[np.bool_]:
    """(q, n): whether an item exists for a query."""
    if mask is None:
        bits = np.ones(n, dtype=np.bool_)
    elif mask.dtype == np.bool_:
        bits = mask
    elif mask.dtype == np.uint8:
        bits = np.unpackbits(mask, axis=-1, count=n) == 1
    else:
        bits = np.isin(np.arange(n), mask)
    allowed = np.array(np.broadcast_to(bits, (q, n)))
    if exclude is None:
        return allowed
    for row, items in zip(allowed, range(n) if isinstance(exclude, str) else exclude, strict=True):
        for item in np.atleast_1d(np.asarray(items, dtype=np.int64)):
            if item >= 0:
                row[item] = False
    return allowed


def _sum_by_distance(query_codes: Codes, db_codes: Codes, values: Array, weights: Array | None) -> Scores:
    """(q, largest distance + 1): for each distance the sum of the (q, n) values of the items there."""
    farthest = 8 * db_codes.shape[1] if weights is None else int(weights.sum(axis=1, dtype=np.int64).max(initial=0))
    result = np.zeros((len(query_codes), farthest + 1))
    for q, row in enumerate(distances(query_codes, db_codes, weights=weights)):
        result[q] = np.bincount(row, values[q], minlength=farthest + 1)
    return result


# ---------------------------------------------------------------------------------------------------------------------
# Relevance


@dataclass(frozen=True)
class RelevanceHistograms:
    """Per query and distance: items, relevant items, and where labels are counted, sums of their gains."""

    items: Counts
    relevant: Counts
    gains: Scores | None = None
    exponential_gains: Scores | None = None
    gain_counts: Counts | None = None
    """(q, most shared labels + 1): how many items of the database share 0, 1, 2, ... labels with the query."""


def shared_labels(query_labels: Array, db_labels: Array) -> Counts:
    """(q, n): how many labels a query and an item share. Two items are relevant to each other if it is not 0."""
    if query_labels.ndim == 1:
        return np.asarray(query_labels[:, None] == db_labels[None, :], dtype=np.int64)
    return np.asarray(query_labels.astype(np.int64) @ db_labels.T.astype(np.int64))


def relevance_histograms(
    query_codes: Codes,
    db_codes: Codes,
    query_labels: Array,
    db_labels: Array,
    *,
    gains: bool = False,
    mask: Array | None = None,
    exclude: Exclude | None = None,
    weights: Array | None = None,
) -> RelevanceHistograms:
    """Counts (and gains) of items by distance, the input of every metric but ``ties="index"``."""
    allowed = _allowed(mask, exclude, len(query_codes), len(db_codes))
    shared = shared_labels(query_labels, db_labels) * allowed
    items = _sum_by_distance(query_codes, db_codes, allowed, weights).astype(np.int64)
    relevant = _sum_by_distance(query_codes, db_codes, shared > 0, weights).astype(np.int64)
    if not gains:
        return RelevanceHistograms(items, relevant)
    return RelevanceHistograms(
        items,
        relevant,
        gains=_sum_by_distance(query_codes, db_codes, shared, weights),
        exponential_gains=_sum_by_distance(query_codes, db_codes, 2.0**shared - 1, weights),
        gain_counts=np.array([((shared == gain) & allowed).sum(axis=1) for gain in range(shared.max(initial=0) + 1)]).T,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Average precision: mean, over the relevant items met in the top k, of (relevant met so far) / position


def vote_accuracy(
    query_codes: Codes,
    db_codes: Codes,
    query_labels: Array,
    db_labels: Array,
    voters: int = 20,
    *,
    mask: Array | None = None,
    exclude: Exclude | None = None,
) -> Scores:
    """(q,): 1 where most of the nearest items have the query's class, else 0.

    Items that tie for the last places share these; classes that tie for the most votes share the 1.
    """
    scores = np.zeros(len(query_codes))
    allowed = _allowed(mask, exclude, len(query_codes), len(db_codes))
    for query, row in enumerate(distances(query_codes, db_codes)):
        apart, labels = row[allowed[query]], np.asarray(db_labels)[allowed[query]]
        if not len(apart):
            continue
        last = np.sort(apart)[: min(voters, len(apart))].max()
        inside, tied = apart < last, apart == last
        places = min(voters, len(apart)) - inside.sum()
        votes = {
            label: Fraction(int((inside & (labels == label)).sum()))
            + Fraction(int(places * (tied & (labels == label)).sum()), int(tied.sum()))
            for label in set(labels.tolist())
        }
        winners = [label for label, count in votes.items() if count == max(votes.values())]
        scores[query] = (query_labels[query] in winners) / len(winners)
    return scores


def average_precision(
    query_codes: Codes,
    db_codes: Codes,
    query_labels: Array,
    db_labels: Array,
    k: int | None = None,
    *,
    ties: Ties = "expected",
    normalizer: Normalizer = "retrieved",
    mask: Array | None = None,
    exclude: Exclude | None = None,
    weights: Array | None = None,
) -> Scores:
    """(q,) average precision at k; tied items in the order of their index, or in all orders at once."""
    if ties != "index":
        data = query_codes, db_codes, query_labels, db_labels
        histograms = relevance_histograms(*data, mask=mask, exclude=exclude, weights=weights)
        return average_precision_of(histograms, k, ties=ties, normalizer=normalizer)
    relevant = shared_labels(query_labels, db_labels) > 0
    orders = _orders(query_codes, db_codes, mask, exclude, weights)
    return np.array([_in_order(row[order.indices], k, normalizer) for row, order in zip(relevant, orders, strict=True)])


def mean_average_precision(
    query_codes: Codes,
    db_codes: Codes,
    query_labels: Array,
    db_labels: Array,
    k: int | None = None,
    *,
    ties: Ties = "expected",
    normalizer: Normalizer = "retrieved",
    mask: Array | None = None,
    exclude: Exclude | None = None,
    weights: Array | None = None,
) -> float:
    """The mean over all queries, those that meet nothing relevant included."""
    scores = average_precision(
        query_codes,
        db_codes,
        query_labels,
        db_labels,
        k,
        ties=ties,
        normalizer=normalizer,
        mask=mask,
        exclude=exclude,
        weights=weights,
    )
    return float(scores.mean())


def average_precision_of(
    histograms: RelevanceHistograms,
    k: int | None = None,
    *,
    ties: Literal["expected", "best", "worst"] = "expected",
    normalizer: Normalizer = "retrieved",
) -> Scores:
    """(q,) average precision at k: its mean over all orders of tied items, or the extreme ones.

    Source: McSherry and Najork, ECIR 2008; He et al., CVPR 2018; the cut group under "retrieved" is derived here.
    """
    score = {"expected": _expected_precision, "best": _best_precision, "worst": _worst_precision}[ties]
    return np.array(
        [
            score(_groups(items, relevant, relevant, k), int(relevant.sum()), normalizer)
            for items, relevant in zip(histograms.items, histograms.relevant, strict=True)
        ]
    )


def _in_order(relevant: Array, k: int | None, normalizer: Normalizer) -> float:
    """Average precision of one order: ``relevant`` is bool, nearest item first."""
    positions = np.flatnonzero(relevant[:k]) + 1
    precisions = np.arange(1, len(positions) + 1) / positions
    top = len(relevant[:k])
    return _ratio(precisions.sum(), _divisor(len(positions), int(relevant.sum()), top, normalizer))


def _divisor(retrieved: int, relevant: int, k: int, normalizer: Normalizer) -> int:
    return {"retrieved": retrieved, "relevant": relevant, "min": min(relevant, k)}[normalizer]


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator) / float(denominator) if denominator else 0.0


class _Group(NamedTuple):
    """The items at one distance, of which the first ``inside`` positions belong to the top k."""

    before: int  # C: items at smaller distances
    relevant_before: int  # P
    gain_before: float  # G: the sum of their gains; the number of relevant items where gains are not counted
    items: int  # n
    relevant: int  # r
    gain: float  # the mean gain of its relevant items; 1 where gains are not counted
    inside: int  # m = min(n, k - C)


def _groups(items: Array, relevant: Array, gains: Array, k: int | None) -> list[_Group]:
    """The groups that reach into the top k, nearest first. At most the last one is cut: inside < items."""
    groups = []
    before, relevant_before, gain_before = 0, 0, 0.0
    top = int(items.sum()) if k is None else k
    for n, r, g in zip(items.tolist(), relevant.tolist(), gains.tolist(), strict=True):
        inside = min(n, top - before)
        if inside > 0:
            groups.append(_Group(before, relevant_before, gain_before, n, r, _ratio(g, r), inside))
        before, relevant_before, gain_before = before + n, relevant_before + r, gain_before + g
    return groups


def _expected_sum(group: _Group, n: int, r: int) -> float:
    """The mean sum of precisions over the first m positions of a group when r of n items in random order are relevant.

    Position C + j holds a relevant item with chance r / n. Each of the j - 1 others before it is then relevant with
    chance (r - 1) / (n - 1), and adds its gain to what the position counts: G, its own gain, and theirs.
    """
    j = np.arange(1, group.inside + 1)
    others = (j - 1) * (r - 1) / max(n - 1, 1)
    counted = group.gain_before + group.gain * (1 + others)
    return float((r / n * counted / (group.before + j)).sum())


def _expected_precision(groups: list[_Group], relevant: int, normalizer: Normalizer) -> float:
    """The mean over all orders; the divisor is random too where k cuts a group of ties."""
    whole = [group for group in groups if group.inside == group.items]
    cut = [group for group in groups if group.inside < group.items]
    total = sum(_expected_sum(group, group.items, group.relevant) for group in whole)
    if cut and normalizer == "retrieved":
        return _expected_over_cut(total, cut[0])
    total += sum(_expected_sum(group, group.items, group.relevant) for group in cut)
    retrieved, top = sum(group.relevant for group in whole), sum(group.inside for group in groups)
    return _ratio(total, _divisor(retrieved, relevant, top, normalizer))


def _expected_over_cut(total: float, cut: _Group) -> float:
    """The mean over t, the number of the cut group's relevant items that fall inside the cut (hypergeometric)."""
    n, r, m = cut.items, cut.relevant, cut.inside
    score = 0.0
    for t in range(max(0, m - n + r), min(m, r) + 1):
        chance = math.comb(r, t) * math.comb(n - r, m - t) / math.comb(n, m)
        score += chance * _ratio(total + _expected_sum(cut, m, t), cut.relevant_before + t)
    return score


def _best_precision(groups: list[_Group], relevant: int, normalizer: Normalizer) -> float:
    """Relevant items first in every group; under "retrieved" the best of all counts inside the cut."""
    return max(_scores_by_relevant_inside(groups, relevant, normalizer, relevant_first=True), default=0.0)


def _worst_precision(groups: list[_Group], relevant: int, normalizer: Normalizer) -> float:
    """Relevant items last in every group; under "retrieved" the worst of all counts inside the cut."""
    return min(_scores_by_relevant_inside(groups, relevant, normalizer, relevant_first=False), default=0.0)


def _scores_by_relevant_inside(
    groups: list[_Group], relevant: int, normalizer: Normalizer, *, relevant_first: bool
) -> list[float]:
    """One score for each number t of the last group's relevant items that can fall inside the top k."""
    total = sum(_ordered_sum(group, group.relevant, relevant_first=relevant_first) for group in groups[:-1])
    scores = []
    for last in groups[-1:]:
        least, most = max(0, last.inside - last.items + last.relevant), min(last.inside, last.relevant)
        for t in range(least, most + 1):
            divisor = _divisor(last.relevant_before + t, relevant, last.before + last.inside, normalizer)
            scores.append(_ratio(total + _ordered_sum(last, t, relevant_first=relevant_first), divisor))
    return scores


def _ordered_sum(group: _Group, t: int, *, relevant_first: bool) -> float:
    """The sum of precisions over a group's m positions with its t relevant items first, or last."""
    skipped = 0 if relevant_first else group.inside - t
    j = np.arange(1, t + 1)
    return float(((group.relevant_before + j) / (group.before + skipped + j)).sum())


# ---------------------------------------------------------------------------------------------------------------------
# The other metrics, each the mean over all orders of tied items. k > n means n.


def precision_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """(q,) share of relevant items among the top k."""
    return _top_sum(histograms.items, histograms.relevant, k) / _top(histograms, k)


def recall_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """(q,) share of the relevant items that are among the top k; 0 where nothing is relevant."""
    total: Counts = histograms.relevant.sum(axis=1)
    return _top_sum(histograms.items, histograms.relevant, k) / np.maximum(total, 1)


def hit_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """(q,) the share of the orders of tied items that have a relevant one among the top k."""
    scores = []
    for items, relevant in zip(histograms.items, histograms.relevant, strict=True):
        missed = Fraction(1)
        for group in _groups(items, relevant, relevant, k):
            others = math.comb(group.items - group.relevant, group.inside)
            missed *= Fraction(others, math.comb(group.items, group.inside))
        scores.append(float(1 - missed))
    return np.array(scores)


def reciprocal_rank(histograms: RelevanceHistograms, k: int | None = None) -> Scores:
    """(q,) the mean of 1 / (position of the first relevant item) over all orders of tied items; 0 beyond the top k."""
    scores = []
    for items, relevant in zip(histograms.items, histograms.relevant, strict=True):
        score = Fraction(0)
        for group in _groups(items, relevant, relevant, k):
            if group.relevant:
                n, r = group.items, group.relevant
                for i in range(1, min(n - r + 1, group.inside) + 1):  # the others of r lie behind position i
                    score += Fraction(math.comb(n - i, r - 1), math.comb(n, r)) / (group.before + i)
                break
        scores.append(float(score))
    return np.array(scores)


def r_precision(histograms: RelevanceHistograms) -> Scores:
    """(q,) share of relevant items among the first R, R the number of relevant items; 0 where nothing is relevant."""
    scores = []
    for items, relevant in zip(histograms.items, histograms.relevant, strict=True):
        total = int(relevant.sum())
        one = RelevanceHistograms(items[None], relevant[None])
        scores.append(float(_top_sum(one.items, one.relevant, total)[0]) / total if total else 0.0)
    return np.array(scores)


def precision_within(histograms: RelevanceHistograms, radius: int) -> Scores:
    """(q,) share of relevant items among those within the radius; 0 where it finds none."""
    found: Counts = histograms.items[:, : radius + 1].sum(axis=1)
    relevant: Counts = histograms.relevant[:, : radius + 1].sum(axis=1)
    return relevant / np.maximum(found, 1)


def recall_within(histograms: RelevanceHistograms, radius: int) -> Scores:
    """(q,) share of the relevant items that lie within the radius; 0 where nothing is relevant."""
    total: Counts = histograms.relevant.sum(axis=1)
    found: Counts = histograms.relevant[:, : radius + 1].sum(axis=1)
    return found / np.maximum(total, 1)


def acg_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """(q,) average cumulative gain: the mean number of labels shared by the top k."""
    assert histograms.gains is not None
    return _top_sum(histograms.items, histograms.gains, k) / _top(histograms, k)


def ndcg_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """(q,) sum over the top k of (2^gain - 1) / log2(1 + position), relative to that of the best order there is."""
    assert histograms.exponential_gains is not None
    assert histograms.gain_counts is not None
    scores = []
    for items, gains, counts in zip(
        histograms.items, histograms.exponential_gains, histograms.gain_counts, strict=True
    ):
        found = sum(
            group.gain * _discounts(group.before, group.inside).sum() for group in _groups(items, items, gains, k)
        )
        ideal = np.repeat(np.arange(len(counts)), counts)[::-1][:k]
        scores.append(_ratio(found, ((2.0**ideal - 1) * _discounts(0, len(ideal))).sum()))
    return np.array(scores)


def wap_at(histograms: RelevanceHistograms, k: int) -> Scores:
    """(q,) weighted average precision: average precision with ACG@position in place of precision@position."""
    assert histograms.gains is not None
    rows = zip(histograms.items, histograms.relevant, histograms.gains, strict=True)
    return np.array(
        [
            _expected_precision(_groups(items, relevant, gains, k), int(relevant.sum()), "retrieved")
            for items, relevant, gains in rows
        ]
    )


def _top(histograms: RelevanceHistograms, k: int) -> Counts:
    """(q,) the number of positions in the top k, at least 1 as it is divided by."""
    total: Counts = histograms.items.sum(axis=1)
    return np.clip(total, 1, k)


def _top_sum(items: Counts, sums: Array, k: int) -> Scores:
    """(q,) sums over the top k of a histogram; a cut group of n ties counts m / n."""
    rows = zip(items, sums, strict=True)
    return np.array([sum(group.gain * group.inside for group in _groups(n, n, s, k)) for n, s in rows])


def _discounts(before: int, count: int) -> Scores:
    """1 / log2(1 + position) of the positions before + 1 .. before + count."""
    return 1 / np.log2(1 + before + np.arange(1, count + 1))
