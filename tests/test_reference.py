"""The oracle against hand-written cases and against every order of the tied items."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from vtsearch import reference

# Per distance: the gains (shared labels) of the items there. Small enough to try every order.
TIED_GAINS = [
    [[2, 0, 1]],
    [[1], [0, 2, 1], [0, 3]],
    [[0, 0], [1, 0, 1, 2], [1]],
    [[], [1, 1, 0], [], [2, 0, 0]],
    [[0], [0, 0]],
    [[3, 1, 2, 0, 0, 1]],
]
CASES = [(gains, k) for gains in TIED_GAINS for k in range(1, sum(map(len, gains)) + 2)]


def histograms_of(gains):
    flat = [gain for group in gains for gain in group]
    return reference.RelevanceHistograms(
        items=np.array([[len(group) for group in gains]]),
        relevant=np.array([[sum(gain > 0 for gain in group) for group in gains]]),
        gains=np.array([[sum(group) for group in gains]], dtype=float),
        exponential_gains=np.array([[sum(2.0**gain - 1 for gain in group) for group in gains]]),
        gain_counts=np.array([[flat.count(gain) for gain in range(max(flat) + 1)]]),
    )


def all_orders(gains):
    for order in itertools.product(*(itertools.permutations(group) for group in gains)):
        yield [gain for group in order for gain in group]


def average_precision(order, k, normalizer):
    met, total = 0, Fraction(0)
    for position, gain in enumerate(order[:k], start=1):
        if gain > 0:
            met += 1
            total += Fraction(met, position)
    relevant = sum(gain > 0 for gain in order)
    divisor = {"retrieved": met, "relevant": relevant, "min": min(relevant, k)}[normalizer]
    return total / divisor if divisor else Fraction(0)


def weighted_average_precision(order, k):
    met, total = 0, Fraction(0)
    for position, gain in enumerate(order[:k], start=1):
        if gain > 0:
            met += 1
            total += Fraction(sum(order[:position]), position)
    return total / met if met else Fraction(0)


def discounted_gain(order, k):
    return sum((2**gain - 1) / np.log2(1 + position) for position, gain in enumerate(order[:k], start=1))


@pytest.mark.parametrize("normalizer", ["retrieved", "relevant", "min"])
@pytest.mark.parametrize(("gains", "k"), CASES)
def test_average_precision_is_the_mean_and_the_extremes_over_all_orders(gains, k, normalizer):
    scores = [average_precision(order, k, normalizer) for order in all_orders(gains)]
    expected = {"expected": sum(scores) / len(scores), "best": max(scores), "worst": min(scores)}
    for ties, score in expected.items():
        actual = reference.average_precision_of(histograms_of(gains), k, ties=ties, normalizer=normalizer)
        assert actual == pytest.approx([float(score)], rel=1e-13, abs=1e-15), ties


@pytest.mark.parametrize(("gains", "k"), CASES)
def test_the_other_metrics_are_means_over_all_orders(gains, k):
    histograms = histograms_of(gains)
    orders = list(all_orders(gains))
    top = min(k, len(orders[0]))
    best = discounted_gain(sorted(orders[0], reverse=True), k)
    relevant = sum(gain > 0 for gain in orders[0])

    def mean(score):
        return pytest.approx([float(sum(map(score, orders)) / len(orders))], rel=1e-13, abs=1e-15)

    assert reference.precision_at(histograms, k) == mean(lambda order: Fraction(sum(g > 0 for g in order[:k]), top))
    assert reference.recall_at(histograms, k) == mean(
        lambda order: Fraction(sum(g > 0 for g in order[:k]), max(relevant, 1))
    )
    assert reference.acg_at(histograms, k) == mean(lambda order: Fraction(sum(order[:k]), top))
    assert reference.wap_at(histograms, k) == mean(lambda order: weighted_average_precision(order, k))
    assert reference.ndcg_at(histograms, k) == mean(lambda order: discounted_gain(order, k) / best if best else 0.0)


def test_pack_is_feature_above_zero_with_the_first_bit_highest():
    assert reference.pack(np.array([[0.5, -1, 0, 2, 1, 1, 1, 1, 3]])).tolist() == [[0b10011111, 0b10000000]]
    assert reference.pack(np.array([[1, 0, 0]]), bitorder="little").tolist() == [[1]]
    assert reference.unpack(np.array([[0b10100000]], dtype=np.uint8), 3).tolist() == [[1, 0, 1]]


CODES = np.array([[0b0000], [0b0001], [0b0111], [0b0010], [0b0000]], dtype=np.uint8)
QUERY = np.array([[0b0000]], dtype=np.uint8)


def test_rank_orders_by_distance_then_index():
    ranking = reference.rank(QUERY, CODES)
    assert ranking.indices.tolist() == [[0, 4, 1, 3, 2]]
    assert ranking.distances.tolist() == [[0, 0, 1, 1, 3]]
    assert reference.rank(QUERY, CODES, 2).indices.tolist() == [[0, 4]]


def test_masks_take_items_away():
    mask = np.array([False, True, True, True, True])
    assert reference.rank(QUERY, CODES, mask=mask).indices.tolist() == [[4, 1, 3, 2]]
    assert reference.rank(QUERY, CODES, mask=np.packbits(mask)).indices.tolist() == [[4, 1, 3, 2]]
    assert reference.histogram(QUERY, CODES, mask=mask).tolist() == [[1, 2, 0, 1, 0, 0, 0, 0, 0]]


def test_within_has_an_inclusive_radius():
    neighbors = reference.within(np.concatenate([QUERY, QUERY ^ 0b111]), CODES, 1)
    assert neighbors.offsets.tolist() == [0, 4, 5]
    assert neighbors.indices.tolist() == [0, 4, 1, 3, 2]
    assert neighbors.distances.tolist() == [0, 0, 1, 1, 0]


def test_histograms_count_items_and_shared_labels_by_distance():
    query_labels = np.array([[1, 1, 0]])
    db_labels = np.array([[1, 1, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    histograms = reference.relevance_histograms(QUERY, CODES, query_labels, db_labels, gains=True)
    assert histograms.items.tolist() == [[2, 2, 0, 1, 0, 0, 0, 0, 0]]
    assert histograms.relevant.tolist() == [[1, 1, 0, 1, 0, 0, 0, 0, 0]]
    assert histograms.gains.tolist() == [[2, 1, 0, 1, 0, 0, 0, 0, 0]]
    assert histograms.exponential_gains.tolist() == [[3, 1, 0, 1, 0, 0, 0, 0, 0]]
    assert histograms.gain_counts.tolist() == [[2, 2, 1]]


def test_average_precision_by_index_walks_the_stable_order():
    labels = np.array([1, 0, 1, 1, 0])  # in the order 0, 4, 1, 3, 2: relevant, not, not, relevant, relevant
    score = reference.average_precision(QUERY, CODES, np.array([1]), labels, ties="index")
    assert score == pytest.approx([(1 + 2 / 4 + 3 / 5) / 3])
    at_4 = {
        name: reference.average_precision(QUERY, CODES, np.array([1]), labels, 4, ties="index", normalizer=name)[0]
        for name in ("retrieved", "relevant", "min")
    }
    assert at_4 == pytest.approx({"retrieved": 1.5 / 2, "relevant": 1.5 / 3, "min": 1.5 / 3})


def test_lookup_within_a_radius():
    histograms = histograms_of([[0], [1, 0], [1, 1]])
    assert reference.precision_within(histograms, 1) == pytest.approx([1 / 3])
    assert reference.recall_within(histograms, 1) == pytest.approx([1 / 3])
    assert reference.precision_within(histograms_of([[], [1]]), 0) == pytest.approx([0])
    assert reference.recall_within(histograms_of([[0]]), 0) == pytest.approx([0])


def test_mean_average_precision_counts_queries_without_relevant_items():
    codes = np.concatenate([QUERY, QUERY])
    assert reference.mean_average_precision(codes, CODES, np.array([1, 7]), np.array([1, 1, 1, 1, 1])) == 0.5
