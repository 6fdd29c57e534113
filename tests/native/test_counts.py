"""within, count, distances and the histograms equal the reference for every tail and instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from known_answers import reference
from strategies import EDGE_BITS, EDGES, FEW_AND_MANY, KINDS, seeded_codes, seeded_queries

from vtsearch import metrics, ranking


@pytest.mark.parametrize("bits", EDGE_BITS)
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_distances_within_and_histogram_are_the_reference_at_every_tail(isa, agree, bits, q):
    queries = seeded_queries(bits, q, bits)
    for n in EDGES:
        database = seeded_codes([bits, n], n, bits, KINDS[(bits + n) % len(KINDS)])
        mask = np.random.default_rng(n).random(n) < 0.5
        agree(ranking.distances(queries, database, threads=1), reference.distances(queries, database))
        agree(ranking.histogram(queries, database, threads=1), reference.histogram(queries, database))
        agree(ranking.histogram(queries, database, mask=mask), reference.histogram(queries, database, mask=mask))
        for radius in {0, bits // 3, bits // 2, 8 * queries.shape[1]}:
            agree(ranking.within(queries, database, radius, threads=1), reference.within(queries, database, radius))
            agree(ranking.count(queries, database, radius, threads=1), reference.count(queries, database, radius))
        agree(
            ranking.within(queries, database, bits // 2, mask=np.packbits(mask)),
            reference.within(queries, database, bits // 2, mask=mask),
        )


@pytest.mark.parametrize("bits", [16, 64, 100])
@pytest.mark.parametrize("n", [2048, 4097, 8193])
@pytest.mark.parametrize("q", [2, 16])
def test_distances_within_and_histogram_are_the_reference_at_every_block_edge(isa, agree, bits, n, q):
    queries = seeded_queries(bits, q, bits)
    mask = np.random.default_rng(n).random(n) < 0.1
    for kind in ("random", "equal"):
        database = seeded_codes([bits, n], n, bits, kind)
        for threads in (1, 3):
            agree(ranking.distances(queries, database, threads=threads), reference.distances(queries, database))
            for allowed in (None, mask):
                agree(
                    ranking.histogram(queries, database, mask=allowed, threads=threads),
                    reference.histogram(queries, database, mask=allowed),
                )
                for one, other in (ranking.within, reference.within), (ranking.count, reference.count):
                    agree(
                        one(queries, database, bits // 2, mask=allowed, threads=threads),
                        other(queries, database, bits // 2, mask=allowed),
                    )


@pytest.mark.parametrize("q", [0, 1, 3, 8, 33])
def test_any_number_of_queries_is_the_reference(isa, agree, q):
    queries, database = seeded_queries(q, q, 48), seeded_codes(q, 200, 48)
    for threads in (1, 4):
        agree(ranking.distances(queries, database, threads=threads), reference.distances(queries, database))
        agree(ranking.histogram(queries, database, threads=threads), reference.histogram(queries, database))
        agree(ranking.within(queries, database, 20, threads=threads), reference.within(queries, database, 20))


@pytest.mark.parametrize("width", [255, 256, 4095, 4096, 4097, 8191])
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_the_largest_distances_of_wide_codes_are_the_reference(isa, agree, width, q):
    queries = seeded_queries(width, q, 8 * width)
    database = np.concatenate([~queries, queries, seeded_codes(width, 50, 8 * width)])
    agree(ranking.distances(queries, database), reference.distances(queries, database))
    agree(ranking.histogram(queries, database), reference.histogram(queries, database))
    agree(ranking.within(queries, database, 8 * width), reference.within(queries, database, 8 * width))
    agree(ranking.rank(queries, database, 60), reference.rank(queries, database, 60))


def labels_of(form, rng, n):
    if form == "single":
        return rng.integers(-3, 4, n)
    return (rng.random((n, 12)) < 0.2).astype(np.uint8)


@pytest.mark.parametrize("bits", [*EDGE_BITS, 1, 2, 3, 63, 65, 1000])
@pytest.mark.parametrize("form", ["single", "multi"])
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_relevance_and_gain_histograms_are_the_reference(isa, agree, bits, form, q):
    rng = np.random.default_rng(bits)
    queries, query_labels = seeded_queries(bits, q, bits), labels_of(form, rng, q)
    for n in (*EDGES[:: 1 + bits % 3], 2049):
        database = seeded_codes([bits, n], n, bits, KINDS[n % len(KINDS)])
        db_labels = labels_of(form, rng, n)
        expected = reference.relevance_histograms(queries, database, query_labels, db_labels, gains=True)
        threads = 1 + n % 3
        actual = metrics.relevance_histograms(queries, database, query_labels, db_labels, gains=True, threads=threads)
        agree(
            (actual.items, actual.relevant, actual.gains, actual.exponential_gains),
            (expected.items, expected.relevant, expected.gains, expected.exponential_gains),
        )
        most = expected.gain_counts.shape[1]
        np.testing.assert_array_equal(actual.gain_counts[:, :most], expected.gain_counts)
        assert not actual.gain_counts[:, most:].any()


def test_many_classes_are_the_reference(isa, agree):
    rng = np.random.default_rng(0)
    queries, database = seeded_queries(0, 20, 32), seeded_codes(0, 3000, 32)
    for query_labels, db_labels in [
        (rng.integers(0, 1000, 20), rng.integers(0, 1000, 3000)),
        (rng.random((20, 300)) < 0.02, rng.random((3000, 300)) < 0.02),
        (np.ones((20, 70), dtype=bool), np.ones((3000, 70), dtype=bool)),
    ]:
        expected = reference.relevance_histograms(queries, database, query_labels, db_labels)
        actual = metrics.relevance_histograms(queries, database, query_labels, db_labels)
        agree((actual.items, actual.relevant), (expected.items, expected.relevant))


@pytest.mark.parametrize("bits", [16, 64])
def test_counts_of_more_blocks_than_a_small_counter_holds_are_the_reference(isa, agree, bits):
    n = 512 * 1100  # all at one distance: 1,023 blocks fill 16 bits
    queries = np.zeros((16, bits // 8), dtype=np.uint8)
    database = np.zeros((n, bits // 8), dtype=np.uint8)
    labels = np.zeros(16, dtype=int), np.arange(n) % 2
    expected = np.zeros((16, bits + 1), dtype=np.int64)
    expected[:, 0] = n
    agree(ranking.histogram(queries, database, threads=1), expected)
    counts = metrics.relevance_histograms(queries, database, *labels, threads=1)
    agree((counts.items, counts.relevant), (expected, expected // 2))
