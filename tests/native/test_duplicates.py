"""Groups of near-duplicates equal the reference at every size and radius, on any number of threads."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from known_answers import reference
from strategies import EDGE_BITS, EDGES, KINDS, seeded_codes, seeded_near_duplicates

from vtsearch import ranking
from vtsearch.duplicates import deduplicate

SIZES = (511, 512, 513, 2049, 2561)


def groups_by_lists(codes, radius):
    """What the reference does, over lists of neighbours instead of all pairs."""
    found = ranking.within(codes, codes, radius)
    groups = np.arange(len(codes))
    while True:
        smallest = np.minimum.reduceat(groups[found.indices], found.offsets[:-1])
        if np.array_equal(smallest, groups):
            return groups
        groups = smallest[smallest]


@functools.cache
def many_codes(radius, bits=64):
    """Codes and their groups."""
    codes = seeded_near_duplicates(2, 20_000, bits)
    return codes, groups_by_lists(codes, radius)


@pytest.mark.parametrize("bits", EDGE_BITS)
def test_groups_are_the_reference_at_every_radius(isa, agree, bits):
    for n in EDGES:
        codes = seeded_near_duplicates(0, n, bits)
        for radius in sorted({0, 1, 2, 3, bits // 3, bits // 2, bits - 1, bits, 8 * codes.shape[1], 10**6}):
            agree(deduplicate(codes, radius).representatives, reference.deduplicate(codes, radius))


@pytest.mark.parametrize("bits", [4095 * 8, 4096 * 8, 8191 * 8])
def test_groups_of_the_widest_codes_are_the_reference(isa, agree, bits):
    codes = seeded_near_duplicates(0, 70, bits)
    codes[40:50] = ~codes[40]
    for radius in (0, 3, bits // 2, bits - 1, bits):
        agree(deduplicate(codes, radius).representatives, reference.deduplicate(codes, radius))


@pytest.mark.parametrize("bits", [16, 64, 72])
@pytest.mark.parametrize("n", SIZES)
def test_groups_are_the_reference_at_every_block_edge(isa, agree, bits, n):
    codes = seeded_near_duplicates(1, n, bits)
    expected = reference.deduplicate(codes, 1)
    for threads in (1, 3):
        agree(deduplicate(codes, 1, threads=threads).representatives, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [16, 64])
def test_groups_of_sorted_equal_and_few_codes_are_the_reference(isa, agree, kind, bits):
    codes = seeded_codes(bits, 1100, bits, kind)
    for radius in (0, 1, bits // 4):
        agree(deduplicate(codes, radius).representatives, reference.deduplicate(codes, radius))


@pytest.mark.parametrize("threads", [1, 2, 5, 64])
@pytest.mark.parametrize("radius", [0, 2])
def test_many_codes_give_the_same_groups_on_any_number_of_threads(isa, agree, threads, radius):
    codes, groups = many_codes(radius)
    agree(deduplicate(codes, radius, threads=threads).representatives, groups)


@pytest.mark.parametrize(
    ("bits", "radius"), [(16, 1), (24, 2), (56, 3), (64, 6), (100, 4), (264, 5), (64, 1), (1024, 9)]
)
def test_codes_that_agree_in_a_substring_are_all_compared(isa, agree, bits, radius):
    codes, groups = many_codes(radius, bits)
    agree(deduplicate(codes, radius, threads=2).representatives, groups)


@functools.cache
def codes_with_large_buckets():
    """Random codes of which a third have equal bits at their beginning, and in all of which the end is one of few."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 256, (60_000, 8), dtype=np.uint8)
    codes[::3, :2] = 7
    codes[:, -1] %= 16
    near = codes[rng.integers(0, len(codes), 20_000)]
    near[np.arange(20_000), rng.integers(0, 8, 20_000)] ^= np.uint8(1) << rng.integers(0, 8, 20_000, dtype=np.uint8)
    codes = np.concatenate([codes, near])
    return codes, groups_by_lists(codes, 4)


@pytest.mark.parametrize("threads", [1, 3])
def test_large_buckets_of_equal_substrings_are_compared_in_blocks(isa, agree, threads):
    codes, groups = codes_with_large_buckets()
    agree(deduplicate(codes, 4, threads=threads).representatives, groups)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_dense_cloud_is_one_group_on_any_number_of_threads(isa, agree, threads):
    codes = seeded_near_duplicates(3, 3000, 24)
    agree(deduplicate(codes, 8, threads=threads).representatives, np.zeros(3000, dtype=np.int64))


@pytest.mark.slow
@pytest.mark.parametrize("length", [2, 64, 511, 512, 513, 1500, 2600])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_chain_of_single_bits_is_one_group_until_it_is_broken(isa, agree, length, threads):
    chain = np.packbits(np.tri(length, 2600, -1, dtype=np.uint8), axis=1)  # item i: i ones, then zeros
    order = np.random.default_rng(length).permutation(length)
    agree(deduplicate(chain[order], 0, threads=threads).representatives, np.arange(length))
    agree(deduplicate(chain[order], 1, threads=threads).representatives, np.zeros(length, dtype=np.int64))
    link = length // 2
    order = order[order != link]
    halves = np.array([np.flatnonzero((order < link) == side)[0] for side in order < link])
    agree(deduplicate(chain[order], 1, threads=threads).representatives, halves)
    agree(deduplicate(chain[order], 2, threads=threads).representatives, np.zeros(length - 1, dtype=np.int64))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "few"])
def test_equal_codes_are_not_compared_pair_by_pair(isa, agree, kind):
    n = 3_000_000  # their pairs would take hours
    codes = seeded_codes(0, n, 64, kind)
    _, first, which = np.unique(codes.view(np.uint64), return_index=True, return_inverse=True)
    for radius in (0, 1):
        agree(deduplicate(codes, radius).representatives, first[which.ravel()])


def key_of_word(word):
    """How the engine mixes 8 bytes: made here to find codes that it cannot tell apart by their keys."""
    mixed = word * 0x9E3779B97F4A7C15 % 2**64
    return mixed ^ mixed >> 32


def test_different_codes_with_one_key_are_told_apart(agree):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2**64, 60, dtype=np.uint64)
    second = [key_of_word(int(first[0])) ^ key_of_word(int(word)) for word in first]
    alike = np.stack([first, np.array(second, dtype=np.uint64)], axis=1).view(np.uint8)
    codes = alike[rng.integers(0, 60, 1500)]
    agree(deduplicate(codes, 0).representatives, reference.deduplicate(codes, 0))
    agree(deduplicate(codes, 40).representatives, reference.deduplicate(codes, 40))


def test_groups_do_not_depend_on_the_order_of_items(isa):
    codes = seeded_near_duplicates(4, 1500, 32)
    order = np.random.default_rng(0).permutation(1500)

    def groups(items, names):
        return {frozenset(names[group].tolist()) for group in deduplicate(items, 2).groups()}

    assert groups(codes, np.arange(1500)) == groups(codes[order], order)
