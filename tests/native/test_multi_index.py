"""Searches by tables equal the reference, on every instruction set, however codes and tables are."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from known_answers import reference
from strategies import KINDS, seeded_codes, seeded_near_duplicates, seeded_queries

from vtsearch import MultiIndex, within

BITS = (16, *(pytest.param(bits, marks=pytest.mark.slow) for bits in (20, 32, 48)), 64, 100, 128, 256, 300)
SIZES = (1, 2, 3, 64, 65, 513, 1000)
SORTED = sorted(set(KINDS) - {"few", "equal"})
ALL_KINDS = ("near", "few", "equal", *(pytest.param(kind, marks=pytest.mark.slow) for kind in SORTED))


def database_of(kind, seed, n, bits):
    return seeded_near_duplicates(seed, n, bits) if kind == "near" else seeded_codes([seed, n], n, bits, kind)


def queries_of(database, bits, q=5):
    """Random queries, some of the codes themselves, and neighbors of these."""
    rng = np.random.default_rng(bits)
    picked = database[rng.integers(0, len(database), q)]
    flips = np.packbits(rng.random((q, bits)) < 2 / bits, axis=1)
    return np.concatenate([seeded_queries(bits, q, bits), picked, picked ^ flips])


def same(one, other):
    for here, there in zip(one, other, strict=True):
        np.testing.assert_array_equal(here, there)


def tables_of(bits):
    return sorted({1, 3, min(bits, 16), bits // 9 + 1})


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("copies", [True, False])
def test_tables_find_what_the_reference_finds(isa, agree, bits, kind, copies):
    for number, n in enumerate(SIZES):
        database = database_of(kind, 5, n, bits)
        queries = queries_of(database, bits)
        everything = reference.rank(queries, database)
        choices = tables_of(bits)
        index = MultiIndex(database, tables=choices[number % len(choices)], bits=bits, copies=copies)
        for k in sorted({1, min(10, n), n // 2 + 1, n + 3}):
            expected = reference.Ranking(everything.distances[:, :k], everything.indices[:, :k])
            agree(index.rank(queries, k, plan="tables"), expected)
        for radius in (0, 1, 2, 3, 5, bits // 4, 8 * database.shape[1]):
            agree(index.within(queries, radius, plan="tables"), reference.within(queries, database, radius))


@pytest.mark.parametrize("bits", [16, 64, 256])
@pytest.mark.parametrize("tables", [1, 2, 4, 7, 16])
@pytest.mark.parametrize("kind", ["random", "near", "few"])
def test_any_number_of_tables_finds_the_same(isa, agree, bits, tables, kind):
    database = database_of(kind, 6, 5000, bits)
    queries = queries_of(database, bits, 2)
    index = MultiIndex(database, tables=tables, bits=bits)
    everything = reference.rank(queries, database)
    for k in (1, 10, 300, 5000):
        expected = reference.Ranking(everything.distances[:, :k], everything.indices[:, :k])
        agree(index.rank(queries, k, plan="tables"), expected)
    for radius in (0, 1, 4, bits // 8, bits // 3):
        agree(index.within(queries, radius, plan="tables"), reference.within(queries, database, radius))


@pytest.mark.parametrize("share", [0.0, 0.003, 0.1, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("copies", [True, False])
@pytest.mark.parametrize("plan", ["tables", "scan", "auto"])
def test_masks_of_any_share_and_form(isa, agree, share, copies, plan):
    database = database_of("near", 7, 777, 64)
    queries = queries_of(database, 64)
    index = MultiIndex(database, copies=copies)
    mask = np.random.default_rng(8).random(777) < share
    for form in (mask, np.packbits(mask), np.flatnonzero(mask)):
        agree(index.within(queries, 3, mask=form, plan=plan), reference.within(queries, database, 3, mask=mask))
        for k in (1, 10, 777):
            agree(index.rank(queries, k, mask=form, plan=plan), reference.rank(queries, database, k, mask=mask))


@pytest.mark.parametrize("plan", ["tables", "auto"])
def test_masks_that_differ_between_queries(isa, agree, plan):
    database = database_of("near", 9, 500, 48)
    queries = queries_of(database, 48)
    index = MultiIndex(database)
    masks = np.random.default_rng(9).random((len(queries), 500)) < 0.3
    for form in (masks, np.packbits(masks, axis=1)):
        agree(index.rank(queries, 20, mask=form, plan=plan), reference.rank(queries, database, 20, mask=masks))
        agree(index.within(queries, 4, mask=form, plan=plan), reference.within(queries, database, 4, mask=masks))


@functools.cache
def many_codes():
    """Random codes, clusters, and many equal ones."""
    rng = np.random.default_rng(10)
    codes = rng.integers(0, 256, (800_000, 8), dtype=np.uint8)
    codes[:400_000] = codes[rng.integers(0, 400, 400_000)]
    codes[np.arange(300_000), rng.integers(0, 8, 300_000)] ^= 1 << rng.integers(0, 8, 300_000, dtype=np.uint8)
    codes[500_000:600_000] = codes[500_000]
    return rng.permutation(codes)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("copies", [True, False])
def test_some_queries_by_tables_and_others_by_a_scan(isa, threads, copies):
    database = many_codes()
    rng = np.random.default_rng(11)
    index = MultiIndex(database, copies=copies, threads=threads)
    chosen = []
    for q in (1, 5, 40):
        near = database[rng.integers(0, len(database), 2 * q)]
        queries = rng.permutation(np.concatenate([near, seeded_codes(q, q, 64)]))
        for k in (1, 10, 1000):
            found, how = index.rank(queries, k, threads=threads, explain=True)
            same(found, index.rank(queries, k, plan="scan"))
            chosen.append(how.by_tables)
        for radius in (0, 2, 3, 6, 20):
            found, how = index.within(queries, radius, threads=threads, explain=True)
            same(found, within(queries, database, radius))
            chosen.append(how.by_tables)
    assert any(each.any() and not each.all() for each in chosen)
