"""Groups of near-duplicates, their diameters and matches equal the reference, on any number of threads."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from known_answers import reference
from strategies import EDGE_BITS, EDGES, FEW_AND_MANY, KINDS, seeded_codes, seeded_near_duplicates

from vtsearch import _native, ranking
from vtsearch.duplicates import Duplicates, deduplicate

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


# Old items


def matches(found):
    return found.match_distances, found.matches


@pytest.mark.parametrize("bits", EDGE_BITS)
@pytest.mark.parametrize("may_scan", [True, False], ids=["scan", "tables"])
def test_the_nearest_old_items_are_the_reference_at_every_size(isa, agree, bits, may_scan):
    for m in EDGES:
        old = seeded_near_duplicates(0, m, bits)
        for n in FEW_AND_MANY:
            codes = seeded_near_duplicates(0, m + n, bits)[m:]
            for radius in sorted({0, 1, 3, bits // 3, bits - 1, bits}):
                expected = reference.matches(codes, old, radius)
                limits = np.full(n, radius + 1, dtype=np.int32)
                distances, indices = _native.nearest_below(codes, old, limits, may_scan, 1 + m % 2)
                agree((np.where(indices < 0, np.int32(-1), distances), indices), tuple(expected))


@pytest.mark.parametrize("may_scan", [True, False], ids=["scan", "tables"])
def test_items_at_the_limit_of_a_query_are_not_found(isa, agree, may_scan):
    codes, old = seeded_near_duplicates(1, 90, 64)[50:], seeded_near_duplicates(1, 90, 64)[:50]
    found = reference.matches(codes, old, 64)
    for lower in (-2, 0, 1, 100, 2**30):
        limits = found.distances + np.int32(lower)
        distances, indices = _native.nearest_below(codes, old, limits, may_scan, 1)
        agree(indices, found.indices if lower > 0 else np.full_like(indices, -1))
        agree(distances, found.distances if lower > 0 else np.maximum(limits, 0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("may_scan", [True, False], ids=["scan", "tables"])
def test_the_first_of_sorted_equal_and_few_old_items_matches(isa, agree, kind, may_scan):
    codes, old = seeded_codes(64, 40, 64, kind), seeded_codes(64, 3000, 64, kind)
    expected = reference.matches(codes, old, 20)
    for threads in (1, 3):
        distances, indices = _native.nearest_below(codes, old, np.full(40, 21, dtype=np.int32), may_scan, threads)
        agree((np.where(indices < 0, np.int32(-1), distances), indices), tuple(expected))


def first_within(codes, old, radius):
    """What the reference does, over rankings of one item."""
    distances, indices = (each[:, 0] for each in ranking.rank(codes, old, 1))
    return np.where(distances <= radius, distances, -1), np.where(distances <= radius, indices, -1)


@functools.cache
def many_old_codes(bits):
    both = seeded_near_duplicates(6, 40_000, bits)
    return both[1::2].copy(), both[::2].copy()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("bits", "radius"), [(16, 1), (24, 2), (64, 0), (64, 4), (64, 20), (100, 3), (264, 5)])
def test_many_old_items_are_matched_as_by_rank(isa, agree, threads, bits, radius):
    codes, old = many_old_codes(bits)
    agree(matches(deduplicate(codes, radius, against=old, threads=threads)), first_within(codes, old, radius))


@pytest.mark.parametrize("threads", [1, 2])
def test_old_items_of_large_clusters_are_matched_as_by_rank(isa, agree, threads):
    codes, old = many_old_codes(64)
    codes, old = codes.copy(), old.copy()
    codes[:6000], old[::2] = seeded_near_duplicates(7, 6000, 12)[:, :1], old[0]
    old[1::4, 4:] = codes[0, 4:]
    agree(matches(deduplicate(codes, 4, against=old, threads=threads)), first_within(codes, old, 4))


@pytest.mark.slow
@pytest.mark.parametrize("may_scan", [True, False], ids=["scan", "tables"])
def test_the_first_of_several_blocks_matches(isa, agree, may_scan):
    old = np.zeros((140_000, 1024), dtype=np.uint8)  # tables are made of 65,536 items at a time
    old[70_000:, 0] = 1
    codes = np.array([[0], [1], [3], [255]], dtype=np.uint8) * (np.arange(1024) == 0).astype(np.uint8)
    distances, indices = _native.nearest_below(codes, old, np.full(4, 3, dtype=np.int32), may_scan, 2)
    agree((distances, indices), (np.array([0, 0, 1, 3], dtype=np.int32), np.array([0, 70_000, 70_000, -1])))


# Diameters


def whole(n):
    """All items in one group."""
    return Duplicates(np.zeros(n, dtype=np.int64))


def halves_apart(seed, n, bits):
    """Codes of which every other one is near one code, the others near another."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (2, bits), dtype=np.uint8)
    codes = centers[np.arange(n) % 2]
    codes[np.arange(n), rng.integers(0, bits, n)] ^= 1
    return np.packbits(codes, axis=1)


@pytest.mark.parametrize("bits", EDGE_BITS)
def test_diameters_are_the_reference_at_every_radius(isa, agree, bits):
    for n in EDGES:
        codes = seeded_near_duplicates(0, n, bits)
        for radius in sorted({0, 1, 2, 3, bits // 3, bits}):
            found = deduplicate(codes, radius)
            agree(found.diameters(codes), reference.diameters(codes, found.representatives))


@functools.cache
def large_group(kind, bits, n):
    """Codes, and their diameter."""
    codes = {
        "uniform": seeded_codes,
        "near": functools.partial(seeded_near_duplicates, most_flips=2),
        "two": halves_apart,
        "few": functools.partial(seeded_codes, kind="few"),
        "equal": functools.partial(seeded_codes, kind="equal"),
    }[kind](8, n, bits)
    return codes, np.array([ranking.distances(codes, codes).max()], dtype=np.int64)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bits", [16, 64, 100, 300])
@pytest.mark.parametrize("kind", ["uniform", "near", "two", "few", "equal"])
def test_diameters_of_large_groups_are_their_largest_distance(isa, agree, kind, bits, threads):
    for n in (2047, 2048, 2049, 3100):
        codes, expected = large_group(kind, bits, n)
        agree(whole(n).diameters(codes, threads=threads), expected)


@pytest.mark.parametrize("bits", [64, 300])
def test_diameters_of_small_and_large_groups_are_in_the_order_of_groups(isa, agree, bits):
    small, expected = large_group("two", bits, 2400)
    codes = np.concatenate([seeded_near_duplicates(9, 600, bits), small, small[:5]])
    groups = deduplicate(codes[:600], 2).representatives
    found = Duplicates(np.concatenate([groups, np.full(2400, 600), [3000] * 5]))
    others = reference.diameters(codes[:600], groups)
    last = reference.diameters(small[:5], np.zeros(5, dtype=np.int64))
    for threads in (1, 2):
        agree(found.diameters(codes, threads=threads), np.concatenate([others, expected, last]))


@pytest.mark.slow
def test_the_diameter_of_a_chain_is_its_length(isa, agree):
    chain = np.packbits(np.tri(6000, 6000, -1, dtype=np.uint8), axis=1)
    order = np.random.default_rng(0).permutation(6000)
    agree(whole(6000).diameters(chain[order]), np.array([5999]))


@pytest.mark.parametrize("bits", [4096 * 8, 8191 * 8])
def test_diameters_of_the_widest_codes_are_the_reference(isa, agree, bits):
    codes = seeded_near_duplicates(0, 70, bits)
    codes[40] = ~codes[0]
    agree(whole(70).diameters(codes), np.array([bits]))
    agree(whole(39).diameters(codes[1:40].copy()), reference.diameters(codes[1:40], np.zeros(39, dtype=np.int64)))


@pytest.mark.slow
def test_equal_codes_of_a_group_are_not_compared_pair_by_pair(isa, agree):
    n = 3_000_000  # their pairs would take hours
    codes = seeded_codes(0, n, 64, "few")
    words, first, which = np.unique(codes.view(np.uint64), return_index=True, return_inverse=True)
    distinct = words[:, None].view(np.uint8)
    agree(whole(n).diameters(codes), np.array([ranking.distances(distinct, distinct).max()], dtype=np.int64))
    agree(deduplicate(codes, 64, max_diameter=0).representatives, first[which.ravel()])


# Groups of bounded diameter


@pytest.mark.parametrize("bits", EDGE_BITS)
def test_bounded_groups_are_the_reference_at_every_radius(isa, agree, bits):
    for n in (0, 1, 2, 9, 33, 65, 129):
        codes = seeded_near_duplicates(0, n, bits)
        for radius in sorted({0, 1, 2, 3, bits // 3, bits}):
            for most in sorted({0, 1, radius, radius + 1, 2 * radius, bits // 2, bits}):
                found = deduplicate(codes, radius, max_diameter=most, threads=1 + n % 2)
                agree(found.representatives, reference.deduplicate(codes, radius, max_diameter=most))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("radius", "most"), [(1, 1), (1, 3), (2, 2), (2, 4), (3, 6), (8, 5), (24, 9)])
def test_bounded_groups_of_a_cluster_are_the_reference(isa, agree, radius, most, threads):
    codes = seeded_near_duplicates(10, 500, 24, 2)
    expected = reference.deduplicate(codes, radius, max_diameter=most)
    agree(deduplicate(codes, radius, max_diameter=most, threads=threads).representatives, expected)


@functools.cache
def large_clusters():
    """Three clusters in turns, and their groups, none of which is compared with codes of another cluster."""
    clusters = [seeded_near_duplicates(seed, 1200, 24, 2) for seed in (11, 12, 13)]
    groups = [3 * reference.deduplicate(codes, 2, max_diameter=4) + i for i, codes in enumerate(clusters)]
    marks = np.array([0, 0xFFFF, 0xFF0000], dtype=">u4").view(np.uint8).reshape(3, 4)
    marked = [np.hstack([codes, np.tile(marks[i], (1200, 2))]) for i, codes in enumerate(clusters)]
    return np.stack(marked, axis=1).reshape(3600, -1), np.stack(groups, axis=1).ravel()


@pytest.mark.parametrize("threads", [1, 3])
def test_large_clusters_are_split_each_on_its_own(isa, agree, threads):
    codes, groups = large_clusters()
    agree(deduplicate(codes, 2, max_diameter=4, threads=threads).representatives, groups)
    assert len(deduplicate(codes, 12).groups()) == 3


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bits", [64, 300])
def test_a_large_group_is_split_into_its_halves(isa, agree, bits, threads):
    codes = halves_apart(14, 6000, bits)
    agree(deduplicate(codes, bits, max_diameter=2, threads=threads).representatives, np.arange(6000) % 2)


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 10, 999, 2998, 2999])
def test_a_long_chain_is_cut_into_pieces_of_its_bound(isa, agree, most):
    chain = np.packbits(np.tri(3000, 3000, -1, dtype=np.uint8), axis=1)
    agree(deduplicate(chain, 1, max_diameter=most).representatives, np.arange(3000) // (most + 1) * (most + 1))


@pytest.mark.parametrize("argument", ["items", "offsets", "limits"])
def test_the_engine_refuses_groups_and_limits_that_do_not_fit(argument):
    codes, items = seeded_codes(0, 4, 64), np.arange(4)
    if argument == "limits":
        with pytest.raises(ValueError, match="limits: expected one for each query"):
            _native.nearest_below(codes, codes, np.zeros(3, dtype=np.int32), True, 1)
    wrong = {"items": [(np.array([0, 1, 2, 4]), [0, 4]), (np.array([-1, 1, 2, 3]), [0, 4])]}
    wrong["offsets"] = [(items, each) for each in ([], [0, 3], [1, 4], [0, 5], [0, 3, 2, 4])]
    for these, offsets in wrong.get(argument, []):
        groups = these, np.array(offsets, dtype=np.int64)
        with pytest.raises(ValueError, match=argument):
            _native.diameters(codes, *groups, 4, 1, None, None, 1)
        with pytest.raises(ValueError, match=argument):
            _native.split_groups(codes, *groups, 1, 1, 4, 1, None, None, 1)
