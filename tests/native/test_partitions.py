"""Codes by partition, blocks of bits, and forests of partitions: every near pair is found, and forests add up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from known_answers import reference
from strategies import EDGE_BITS, seeded_codes, seeded_near_duplicates

from vtsearch import _native
from vtsearch.duplicates import deduplicate


def sets_of(blocks, chosen):
    """(sets, bytes): the bits of every set of blocks."""
    sets = itertools.combinations(range(len(blocks)), chosen)
    return np.array([np.bitwise_or.reduce(blocks[list(each)], axis=0) for each in sets])


def planned_sets(codes, radius, count=None):
    return sets_of(*_native.plan_blocks(codes[:1000], len(codes) if count is None else count, radius))


def whole_mask(codes):
    return np.full(codes.shape[1], 255, dtype=np.uint8)


@pytest.mark.parametrize("bits", EDGE_BITS)
@pytest.mark.parametrize("partitions", [1, 2, 7, 300])
def test_partitions_have_all_codes_in_order_and_equal_ones_together(bits, partitions):
    codes = seeded_near_duplicates(0, 700, bits)
    offsets, rows = _native.partition_codes(codes, whole_mask(codes), partitions)
    assert (offsets[0], offsets[-1], len(offsets)) == (0, 700, partitions + 1)
    assert sorted(rows.tolist()) == list(range(700))
    parts = np.split(rows, offsets[1:-1])
    assert all((np.diff(part.astype(int)) > 0).all() for part in parts)
    of_item = np.empty(700, dtype=int)
    for number, part in enumerate(parts):
        of_item[part] = number
    first = deduplicate(codes, 0).representatives
    assert np.array_equal(of_item, of_item[first])


def test_codes_that_agree_in_the_mask_are_in_one_partition():
    codes = seeded_codes(0, 5000, 64)
    codes[:, :2] %= 4
    mask = np.array([255, 255, 0, 0, 0, 0, 0, 0], dtype=np.uint8)
    offsets, rows = _native.partition_codes(codes, mask, 64)
    words = [set(codes[part, :2].copy().view(np.uint16).ravel().tolist()) for part in np.split(rows, offsets[1:-1])]
    assert sum(map(len, words)) == 16
    assert set.union(*words) == set(codes[:, :2].copy().view(np.uint16).ravel().tolist())


def test_random_codes_are_spread_over_partitions():
    codes = seeded_codes(0, 64_000, 64)
    offsets, _ = _native.partition_codes(codes, whole_mask(codes), 64)
    assert 800 < np.diff(offsets).min() <= np.diff(offsets).max() < 1200


@pytest.mark.parametrize("bits", EDGE_BITS)
@pytest.mark.parametrize("count", [10, 10**9])
def test_blocks_have_every_bit_once(bits, count):
    codes = seeded_codes(0, 300, bits)
    for radius in (0, 1, 4, 7):
        blocks, chosen = _native.plan_blocks(codes, count, radius)
        assert np.array_equal(np.unpackbits(blocks, axis=1).sum(axis=0), np.ones(8 * codes.shape[1]))
        assert len(blocks) == radius + chosen


def test_more_codes_have_longer_keys():
    codes = seeded_codes(0, 4000, 64)
    sizes = [_native.plan_blocks(codes, count, 4)[1] for count in (10**5, 10**9, 10**12)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_bits_that_never_differ_are_dealt_to_all_blocks():
    codes = seeded_codes(0, 4000, 64)
    codes[:, :4] = 7
    blocks, _ = _native.plan_blocks(codes, 10**6, 3)
    used = np.unpackbits(blocks[:, 4:], axis=1).sum(axis=1)
    assert used.max() - used.min() <= 1


@pytest.mark.parametrize("bits", EDGE_BITS)
def test_the_forest_of_all_sets_is_the_groups_of_the_reference(isa, agree, bits):
    for n in (0, 1, 2, 63, 257):
        codes = seeded_near_duplicates(0, n, bits)
        for radius in sorted({0, 1, 2, 5, bits // 3, bits - 1} - {8 * codes.shape[1]}):
            sets = planned_sets(codes, radius, 10**6) if radius < 9 else sets_of(np.zeros((2, codes.shape[1]), "u1"), 1)
            agree(_native.agreeing_forest(codes, sets, radius, 1), reference.deduplicate(codes, radius))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("bits", "radius"), [(16, 1), (24, 2), (64, 0), (64, 4), (100, 3), (264, 5)])
def test_many_codes_have_the_groups_of_the_engine(isa, agree, bits, radius, threads):
    codes = seeded_near_duplicates(2, 20_000, bits)
    expected = deduplicate(codes, radius).representatives
    for count in (1, 10**9):
        agree(_native.agreeing_forest(codes, planned_sets(codes, radius, count), radius, threads), expected)


@pytest.mark.parametrize("distinct", [1, 3, 5000])
@pytest.mark.parametrize("threads", [1, 2])
def test_codes_that_agree_in_a_block_are_told_apart_by_others(isa, agree, distinct, threads):
    codes = seeded_near_duplicates(3, 30_000, 128)
    codes[:, :6] = seeded_codes(4, distinct, 48)[np.arange(30_000) % distinct]
    expected = deduplicate(codes, 3).representatives
    for count in (1, 10**9):
        sets = (
            sets_of(np.packbits(np.arange(128) // 32 == np.arange(4)[:, None], axis=1), 1)
            if count == 1
            else (planned_sets(codes, 3, count))
        )
        agree(_native.agreeing_forest(codes, sets, 3, threads), expected)


def test_codes_that_differ_in_no_more_bits_than_the_radius_are_one_group(isa, agree):
    codes = np.zeros((9000, 8), dtype=np.uint8)
    codes[:, 7] = np.arange(9000) % 16
    mask = np.zeros((1, 8), dtype=np.uint8)
    agree(_native.agreeing_forest(codes, mask, 4, 1), np.zeros(9000, dtype=np.int64))
    agree(_native.agreeing_forest(codes, mask, 0, 1), np.arange(9000) % 16)


def test_codes_that_agree_nowhere_are_not_compared():
    codes = seeded_codes(0, 500, 64)
    near = codes ^ np.array([1, 0, 0, 0, 0, 0, 0, 0], dtype=np.uint8)
    first_byte = np.array([[255, 0, 0, 0, 0, 0, 0, 0]], dtype=np.uint8)
    both = np.concatenate([codes, near])
    assert np.array_equal(deduplicate(both, 1).representatives, np.tile(np.arange(500), 2))
    assert np.count_nonzero(_native.agreeing_forest(both, first_byte, 1, 1) == np.arange(1000)) > 990


def test_merged_pairs_are_one_forest_whatever_their_order():
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 2000, (1200, 2))
    parents = np.arange(2000)
    _native.merge_pairs(parents, pairs)
    _native.find_roots(parents)
    groups = np.arange(2000)
    for _ in range(2000):
        before = groups.copy()
        np.minimum.at(groups, pairs[:, 0], groups[pairs[:, 1]])
        np.minimum.at(groups, pairs[:, 1], groups[pairs[:, 0]])
        if np.array_equal(before, groups):
            break
    assert np.array_equal(parents, groups)
    again = np.arange(2000)
    for part in np.split(pairs[rng.permutation(1200), ::-1], 4):
        _native.merge_pairs(again, np.ascontiguousarray(part))
    _native.find_roots(again)
    assert np.array_equal(again, groups)


def test_the_engine_refuses_partitions_that_do_not_fit():
    codes, mask = seeded_codes(0, 4, 64), np.zeros(8, dtype=np.uint8)
    with pytest.raises(ValueError, match="mask: expected as many bytes as a code"):
        _native.partition_codes(codes, mask[:7], 3)
    with pytest.raises(ValueError, match="at least 1"):
        _native.partition_codes(codes, mask, 0)
    with pytest.raises(ValueError, match="partitions: too many"):
        _native.partition_codes(codes, mask, 2**32)
    with pytest.raises(ValueError, match="radius: expected less than the bits of a code"):
        _native.plan_blocks(codes, 4, 64)
    with pytest.raises(ValueError, match="widths differ"):
        _native.agreeing_forest(codes, mask[None, :7].copy(), 1, 1)
    for pair in ([0, 4], [-1, 2]):
        with pytest.raises(ValueError, match="pairs: expected positions in parents"):
            _native.merge_pairs(np.arange(4), np.array([pair]))
    with pytest.raises(ValueError, match=r"pairs: expected \(n, 2\)"):
        _native.merge_pairs(np.arange(4), np.arange(4))
    with pytest.raises(ValueError, match="parents: expected one axis"):
        _native.find_roots(np.zeros((2, 2), dtype=np.int64))
    fixed = np.arange(4)
    fixed.setflags(write=False)
    with pytest.raises(ValueError, match="not writeable"):
        _native.merge_pairs(fixed, np.zeros((0, 2), dtype=np.int64))
