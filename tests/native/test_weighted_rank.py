"""Searches with weights equal the reference for tails, k, masks and instruction sets; tests/core sweeps all lengths."""

from __future__ import annotations

import numpy as np
import pytest
from known_answers import reference
from strategies import FEW_AND_MANY, KINDS, seeded_codes, seeded_queries

from vtsearch import MultiIndex, metrics, ranking, rescore

BITS = (16, 24, 32, 64, 100, 128, 200, 256, 300)
SIZES = (0, 1, 63, 64, 65, 200, 513, 1100)
WEIGHTS = ("random", "few", "zero", "largest")


def seeded_weights(seed, q, bits, kind="random"):
    """(q, bits): "few" of them are not 0, so that most distances tie; "zero" ones put all items at distance 0."""
    rng = np.random.default_rng([seed, 2])
    weights = rng.integers(0, 64, (q, bits))
    if kind == "few":
        weights *= rng.random((q, bits)) < 0.1
    return {"zero": weights * 0, "largest": weights * 0 + 63}.get(kind, weights).astype(np.uint8)


def cut(everything, k):
    return reference.Ranking(everything.distances[:, :k], everything.indices[:, :k])


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_rank_is_the_reference_at_every_tail(isa, agree, bits, weights, q):
    queries, weights = seeded_queries(bits, q, bits), seeded_weights(bits, q, bits, weights)
    for n in SIZES:
        database = seeded_codes([bits, n], n, bits, KINDS[(bits + n) % len(KINDS)])
        everything = reference.rank(queries, database, weights=weights)
        for k in sorted({1, 10, n // 5 + 1, n // 2 + 1, n + 3}):
            agree(ranking.rank(queries, database, k, weights=weights, threads=1), cut(everything, k))


@pytest.mark.parametrize("bits", [16, 64, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("q", [1, 70])
def test_rank_is_the_reference_among_more_items_than_a_tile(isa, agree, bits, kind, q):
    n = 5000
    queries, weights = seeded_queries(bits, q, bits), seeded_weights(bits, q, bits)
    database = seeded_codes([bits, n], n, bits, kind)
    everything = reference.rank(queries, database, weights=weights)
    for k in (1, 10, 100, 1000, n - 1, n):
        agree(ranking.rank(queries, database, k, weights=weights, threads=2), cut(everything, k))


@pytest.mark.parametrize("bits", [40, 64])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.1, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_searches_under_masks_are_the_reference(isa, agree, bits, share, q):
    n, rng = 4097, np.random.default_rng(bits)
    queries, database, weights = seeded_queries(bits, q, bits), seeded_codes(bits, n, bits), seeded_weights(1, q, bits)
    mask, masks = rng.random(n) < share, rng.random((q, n)) < max(share, 0.02)
    for form, plain in ((np.packbits(mask), mask), (np.flatnonzero(mask), mask), (masks, masks)):
        for k in (1, 50, int(masks.sum(axis=1).min())):
            expected = reference.rank(queries, database, k, mask=plain, weights=weights)
            agree(ranking.rank(queries, database, k, mask=form, weights=weights), expected)
        radius = 8 * bits
        expected = reference.within(queries, database, radius, mask=plain, weights=weights)
        agree(ranking.within(queries, database, radius, mask=form, weights=weights), expected)
        agree(ranking.count(queries, database, radius, mask=form, weights=weights), np.diff(expected.offsets))
        expected = reference.histogram(queries, database, mask=plain, weights=weights)
        agree(ranking.histogram(queries, database, mask=form, weights=weights), expected)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_radii_and_distances_are_the_reference(isa, agree, weights):
    queries, database, weights = seeded_queries(3, 5, 72), seeded_codes(4, 700, 72), seeded_weights(5, 5, 72, weights)
    agree(
        ranking.distances(queries, database, weights=weights), reference.distances(queries, database, weights=weights)
    )
    for radius in (0, 1, 300, 900, 2000, 10**9):
        expected = reference.within(queries, database, radius, weights=weights)
        agree(ranking.within(queries, database, radius, weights=weights), expected)
        agree(ranking.count(queries, database, radius, weights=weights), np.diff(expected.offsets))


def test_rank_of_a_large_database_is_the_reference_for_any_number_of_threads(isa, agree):
    queries, database, weights = seeded_queries(0, 2, 64), seeded_codes(0, 300_000, 64), seeded_weights(0, 2, 64)
    everything = reference.rank(queries, database, weights=weights)
    for threads in (1, 2, 7):
        for k in (1000, 100_000):
            agree(ranking.rank(queries, database, k, weights=weights, threads=threads), cut(everything, k))


@pytest.mark.parametrize("k", [10, 700])
@pytest.mark.parametrize("order", ["nearest first", "farthest first", "sample misleads"])
def test_rank_is_the_reference_in_any_order_of_the_database(isa, agree, k, order):
    n, queries, weights = 60_000, seeded_queries(6, 3, 64), seeded_weights(6, 3, 64)
    database = seeded_codes(7, n, 64)
    by_distance = np.argsort(reference.distances(queries[:1], database, weights=weights[:1])[0], kind="stable")
    if order == "sample misleads":  # near codes where a sample looks, and hardly anywhere else
        step = n // (512 * min(max(k // 25, 1), 12))
        for i in range(n // step):
            database[i * step + i * 2654435761 % step] = queries[0]
    else:
        database = database[by_distance if order == "nearest first" else by_distance[::-1]]
    everything = reference.rank(queries, database, weights=weights)
    for threads in (1, 3):
        agree(ranking.rank(queries, database, k, weights=weights, threads=threads), cut(everything, k))


def test_weights_of_1_are_distances_in_bits(isa, agree):
    queries, database = seeded_queries(8, 20, 64), seeded_codes(9, 3000, 64)
    ones = np.ones((20, 64), dtype=np.int64)
    agree(ranking.rank(queries, database, 30, weights=ones), ranking.rank(queries, database, 30))
    assert (ranking.histogram(queries, database, weights=ones) == ranking.histogram(queries, database)).all()


@pytest.mark.parametrize("bits", [1040, 2000])
def test_wide_codes_have_smaller_weights(isa, agree, bits):
    largest = 65534 // bits
    queries, database = seeded_queries(bits, 2, bits), seeded_codes(bits, 100, bits)
    database[7] = ~queries[1]
    weights = np.full((2, bits), largest)
    agree(ranking.rank(queries, database, weights=weights), reference.rank(queries, database, weights=weights))


@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize("masked", ["no mask", "mask", "mask per query", "self"])
def test_metrics_are_the_reference(isa, agree, kind, masked):
    n, bits, rng = 300, 24, np.random.default_rng(3)
    q = n if masked == "self" else 40
    database = seeded_codes(1, n, bits)
    queries, weights = database[:q], seeded_weights(2, q, bits)
    labels = rng.integers(0, 4, n) if kind == "single" else (rng.random((n, 5)) < 0.3).astype(np.uint8)
    masks = {"mask": rng.random(n) < 0.5, "mask per query": rng.random((q, n)) < 0.5}
    options = {"exclude": "self"} if masked == "self" else {"mask": masks.get(masked)}
    sides = queries, database, labels[:q], labels
    actual = metrics.relevance_histograms(*sides, gains=True, weights=weights, **options)
    expected = reference.relevance_histograms(*sides, gains=True, weights=weights, **options)
    for name in ("items", "relevant", "gains", "exponential_gains"):
        agree(getattr(actual, name), getattr(expected, name))
    most = expected.gain_counts.shape[1]
    agree(actual.gain_counts[:, :most], expected.gain_counts)
    assert not actual.gain_counts[:, most:].any()
    for ties in ("expected", "index", "best", "worst"):
        for k in (1, 40, None):
            choices = {"ties": ties, "weights": weights, **options}
            found = metrics.average_precision(*sides, k, **choices)
            agree(found, reference.average_precision(*sides, k, **choices), rtol=1e-12)
            assert metrics.mean_average_precision(*sides, k, **choices) == found.mean()


def test_candidates_of_a_ranking_are_ordered_as_by_rank(isa, agree):
    database = seeded_codes(1, 2000, 64)
    queries, weights = seeded_queries(2, 6, 64), seeded_weights(3, 6, 64)
    for found in (ranking.rank(queries, database, 200), MultiIndex(database).rank(queries, 200)):
        agree(
            rescore(found, queries, database, weights, 30),
            reference.rescore(found.indices, queries, database, weights, 30),
        )
    all_of_them = np.tile(np.arange(2000), (6, 1))
    agree(rescore(all_of_them, queries, database, weights), ranking.rank(queries, database, weights=weights))
