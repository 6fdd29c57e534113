"""rank equals the reference for tails, k, masks and instruction sets; tests/core sweeps all widths and lengths."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from known_answers import reference
from strategies import EDGE_BITS, EDGES, FEW_AND_MANY, KINDS, seeded_codes, seeded_queries

from vtsearch import ranking


def cut_offs(n):
    return sorted({1, min(2, n + 1), max(1, n // 2), max(1, n - 1), n + 1, n + 3})


@pytest.mark.parametrize("q", FEW_AND_MANY)
@pytest.mark.parametrize("bits", EDGE_BITS)
def test_rank_is_the_reference_at_every_tail(isa, agree, bits, q):
    queries = seeded_queries(bits, q, bits)
    for n in EDGES:
        database = seeded_codes([bits, n], n, bits, KINDS[(bits + n) % len(KINDS)])
        expected = reference.rank(queries, database)
        for k in cut_offs(n):
            actual = ranking.rank(queries, database, k, threads=1)
            agree(actual, reference.Ranking(expected.distances[:, :k], expected.indices[:, :k]))


@pytest.mark.parametrize("bits", [16, 64, 100])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("q", [2, 16])
def test_rank_is_the_reference_at_every_block_edge(isa, agree, bits, kind, q):
    queries = seeded_queries(bits, q, bits)
    for n in (2048, 4097, 8193):
        database = seeded_codes([bits, n], n, bits, kind)
        expected = reference.rank(queries, database)
        for k in (1, 10, 100, 1000, n - 1, n):
            for threads in (1, 3):
                actual = ranking.rank(queries, database, k, threads=threads)
                agree(actual, reference.Ranking(expected.distances[:, :k], expected.indices[:, :k]))


@pytest.mark.parametrize("bits", [5, 64, 200])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_rank_is_the_reference_at_every_k(isa, agree, bits, kind, q):
    queries, database = seeded_queries(bits, q, bits), seeded_codes(bits, 70, bits, kind)
    for k in range(1, 74):
        agree(ranking.rank(queries, database, k), reference.rank(queries, database, k))


@pytest.mark.parametrize("bits", [7, 64, 80, 300])
@pytest.mark.parametrize("n", [65, 300, 4097])
@pytest.mark.parametrize("q", [2, 15, 16, 70])
def test_rank_is_the_reference_under_masks_of_queries(isa, agree, bits, n, q):
    queries, database = seeded_queries(bits, q, bits), seeded_codes(bits, n, bits, "few")
    rng = np.random.default_rng(n)
    for share in (0.05, 0.5, 0.99):
        masks = rng.random((q, n)) < share
        masks[0], masks[1, : n // 2] = True, False
        expected = reference.within(queries, database, bits + 7, mask=masks)
        lengths = np.diff(expected.offsets)
        for k in {1, 10, n // 5, n // 2} & set(range(lengths.min() + 1)):
            columns = [np.arange(start, start + k) for start in expected.offsets[:-1]]
            nearest = reference.Ranking(expected.distances[columns], expected.indices[columns])
            agree(ranking.rank(queries, database, k, mask=masks, threads=3), nearest)


@pytest.mark.parametrize("bits", [7, 64, 80])
@pytest.mark.parametrize("n", [1, 8, 65, 300, 4097])
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_rank_is_the_reference_under_masks(isa, agree, bits, n, q):
    queries, database = seeded_queries(bits, q, bits), seeded_codes(bits, n, bits, "few")
    rng = np.random.default_rng(n)
    for share in (0.0, 0.005, 0.1, 0.5, 0.99, 1.0):
        mask = rng.random(n) < share
        for k in (1, 5, n, n + 3):
            expected = reference.rank(queries, database, k, mask=mask)
            for form in (mask, np.packbits(mask), np.flatnonzero(mask)):
                agree(ranking.rank(queries, database, k, mask=form), expected)


@functools.cache
def long_masks(n):
    """Masks of every share, and of whole runs: the engine leaves masked codes out, or scans them and drops them."""
    rng, runs = np.random.default_rng(n), np.zeros(n, dtype=bool)
    runs[n // 3 + 5 : n // 3 + 9000] = runs[-3:] = True
    return [*(rng.random(n) < share for share in (0.001, 0.03, 0.3, 0.95)), runs, ~runs]


@pytest.mark.parametrize("q", [1, 4, 16])
@pytest.mark.parametrize(
    "bits", [pytest.param(16, marks=pytest.mark.slow), 64, pytest.param(96, marks=pytest.mark.slow)]
)
def test_searches_under_masks_longer_than_a_tile_are_the_reference(isa, agree, q, bits):
    queries, database = seeded_queries(bits, q, bits), seeded_codes(bits, 41_003, bits)
    for mask in long_masks(len(database)):
        for threads in (1, 5):
            options = {"mask": mask, "threads": threads}
            for k in (9, 2000):
                agree(ranking.rank(queries, database, k, **options), reference.rank(queries, database, k, mask=mask))
            radius = bits // 4
            found = ranking.within(queries, database, radius, **options)
            agree(found, reference.within(queries, database, radius, mask=mask))
            agree(ranking.count(queries, database, radius, **options), np.diff(found.offsets))


@pytest.mark.parametrize("q", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 65])
@pytest.mark.parametrize("bits", [16, 96])
def test_rank_is_the_reference_for_any_number_of_queries_and_threads(isa, agree, q, bits):
    queries, database = seeded_queries(q, q, bits), seeded_codes(q, 500, bits)
    expected = reference.rank(queries, database, 20)
    for threads in (1, 2, 5, 64):
        agree(ranking.rank(queries, database, 20, threads=threads), expected)


def test_rank_of_a_large_database_is_the_reference_for_any_number_of_threads(isa, agree):
    queries, database = seeded_queries(0, 2, 64), seeded_codes(0, 300_000, 64)
    expected = reference.rank(queries, database, 1000)
    for threads in (1, 2, 7):
        agree(ranking.rank(queries, database, 1000, threads=threads), expected)


@pytest.mark.parametrize("bits", [16, 64, *(pytest.param(bits, marks=pytest.mark.slow) for bits in (128, 256))])
@pytest.mark.parametrize("q", [5, 18])
@pytest.mark.parametrize("k", [100, 2400])
def test_rank_is_the_reference_where_a_sample_of_the_database_misleads(isa, agree, bits, q, k):
    n = 80_000
    queries, database = seeded_queries(bits, q, bits), seeded_codes(bits, n, bits)
    step = n // (512 * min(max(k // 64, 1), 8))
    for i in range(n // step):  # near codes where the sample looks, and hardly anywhere else
        database[i * step + i * 2654435761 % step] = queries[0]
    database[0 : n // 2 : 2] = queries[1] ^ 0xFF
    mask = np.random.default_rng(bits).random(n) < 0.9
    for allowed in (None, mask):
        expected = reference.rank(queries, database, k, mask=allowed)
        agree(ranking.rank(queries, database, k, mask=allowed, threads=1), expected)
