"""What deduplicate accepts, refuses and returns; its groups are compared in tests/native and tests/database."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeded_near_duplicates

import vtsearch
from vtsearch import Database, _validate, ranking, reference
from vtsearch.codes import pack
from vtsearch.duplicates import Duplicates, deduplicate

CODES = seeded_near_duplicates(0, 40, 16)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(0, 60),
    bits=st.sampled_from([1, 3, 8, 11, 24, 64]),
    radius=st.integers(0, 9),
)
def test_any_few_codes_give_the_groups_of_the_reference(seed, n, bits, radius):
    codes = seeded_near_duplicates(seed, n, bits)
    np.testing.assert_array_equal(deduplicate(codes, radius).representatives, reference.deduplicate(codes, radius))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    sizes=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    bits=st.sampled_from([1, 3, 8, 11, 24, 64]),
    radius=st.integers(0, 9),
    most=st.integers(0, 20),
)
def test_any_few_codes_give_the_matches_and_bounded_groups_of_the_reference(seed, sizes, bits, radius, most):
    old, codes = np.split(seeded_near_duplicates(seed, sum(sizes), bits), sizes[:1])
    found = deduplicate(codes, radius, against=old, max_diameter=most)
    groups, matches = reference.deduplicate(codes, radius, max_diameter=most), reference.matches(codes, old, radius)
    np.testing.assert_array_equal(found.representatives, groups)
    np.testing.assert_array_equal(found.matches, matches.indices)
    np.testing.assert_array_equal(found.match_distances, matches.distances)
    np.testing.assert_array_equal(found.kept(), reference.kept(groups, matches.indices >= 0))
    np.testing.assert_array_equal(found.diameters(codes), reference.diameters(codes, groups))


def test_the_reference_follows_chains_and_nothing_else():
    codes = pack([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 1, 1]])
    assert reference.deduplicate(codes, 0).tolist() == [0, 1, 2, 3, 4]
    assert reference.deduplicate(codes, 1).tolist() == [0, 1, 0, 0, 1]
    assert reference.deduplicate(codes, 2).tolist() == [0, 1, 0, 0, 1]
    assert reference.deduplicate(codes, 3).tolist() == [0, 0, 0, 0, 0]


CHAIN = pack(np.tri(7, 6, -1, dtype=np.uint8))  # item i: i ones, then zeros


@pytest.mark.parametrize(
    ("most", "groups"),
    [
        (0, [0, 1, 2, 3, 4, 5, 6]),
        (1, [0, 0, 2, 2, 4, 4, 6]),
        (2, [0, 0, 0, 3, 3, 3, 6]),
        (5, [0, 0, 0, 0, 0, 0, 6]),
        (6, [0] * 7),
    ],
)
def test_the_reference_bounds_the_diameters_of_groups(most, groups):
    assert reference.deduplicate(CHAIN, 1, max_diameter=most).tolist() == groups
    assert deduplicate(CHAIN, 1, max_diameter=most).representatives.tolist() == groups


def test_the_nearest_item_joins_a_bounded_group_and_the_first_of_several():
    codes = pack([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]])
    assert reference.deduplicate(codes, 2, max_diameter=2).tolist() == [0, 1, 0, 0, 0]
    assert reference.deduplicate(codes[[0, 1, 4]], 2, max_diameter=2).tolist() == [0, 0, 2]
    assert reference.deduplicate(codes[[0, 4, 1]], 2, max_diameter=2).tolist() == [0, 0, 2]


def test_items_of_a_bounded_group_are_linked_inside_of_it():
    codes = pack([[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]])
    assert reference.deduplicate(codes, 2, max_diameter=4).tolist() == [0, 0, 0]
    assert reference.deduplicate(codes[:2], 2, max_diameter=4).tolist() == [0, 1]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4, 7])
def test_bounded_groups_are_chains_of_their_own(most):
    codes = seeded_near_duplicates(2, 200, 24)
    found, whole = deduplicate(codes, 2, max_diameter=most), deduplicate(codes, 2)
    assert found.diameters(codes).max(initial=0) <= most
    for group in found.groups():
        assert not reference.deduplicate(codes[group], 2).any()
        assert len(set(whole.representatives[group])) == 1
    unsplit = np.isin(whole.representatives, [g[0] for g in whole.groups() if len(set(found.representatives[g])) == 1])
    np.testing.assert_array_equal(found.representatives[unsplit], whole.representatives[unsplit])
    within = [group for group, widest in zip(whole.groups(), whole.diameters(codes), strict=True) if widest <= most]
    assert all(unsplit[group].all() for group in within)


def test_a_bound_that_no_group_exceeds_changes_nothing():
    codes = seeded_near_duplicates(3, 300, 16)
    expected = deduplicate(codes, 2).representatives
    for most in (16, 17, 10**30, np.int8(16)):
        assert np.array_equal(deduplicate(codes, 2, max_diameter=most).representatives, expected)


def test_the_reference_matches_the_nearest_old_item_and_the_first_of_several():
    old = pack([[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 1, 0]])
    found = reference.matches(pack([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]]), old, 1)
    assert found.indices.tolist() == [1, 1, -1, 0]
    assert found.distances.tolist() == [1, 0, -1, 1]


def test_a_group_that_matches_an_old_item_has_nothing_to_keep():
    codes = pack([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [1, 1, 1, 0, 0]])
    found = deduplicate(codes, 1, against=pack([[0, 0, 1, 1, 1], [1, 0, 0, 0, 0]]))
    assert found.representatives.tolist() == [0, 1, 0, 0, 4]
    assert found.matches.tolist() == [1, -1, -1, 0, -1]
    assert found.match_distances.tolist() == [1, -1, -1, 1, -1]
    assert (found.matches.dtype, found.match_distances.dtype) == (np.int64, np.int32)
    assert found.kept().tolist() == [1, 4]
    assert found.redundant().tolist() == [0, 2, 3]
    chained = deduplicate(codes[[0, 2, 3]], 1, against=codes[:1] ^ np.uint8(128))
    assert (chained.matches.tolist(), chained.kept().tolist()) == ([0, -1, -1], [])


def test_old_items_do_not_link_new_ones_or_each_other():
    codes = pack([[0, 0, 0, 0], [1, 1, 0, 0]])
    found = deduplicate(codes, 1, against=pack([[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 1, 1]]))
    assert found.representatives.tolist() == [0, 1]
    assert found.matches.tolist() == [0, 0]
    assert found.kept().tolist() == []


def test_without_old_items_nothing_is_matched():
    assert deduplicate(CODES, 1).matches is None
    assert deduplicate(CODES, 1).match_distances is None
    found = deduplicate(CODES, 1, against=CODES[:0])
    assert set(found.matches) == set(found.match_distances) == {-1}
    assert np.array_equal(found.kept(), deduplicate(CODES, 1).kept())


@pytest.mark.parametrize("radius", range(5))
def test_what_is_kept_has_no_near_duplicate_among_old_items(radius):
    codes = seeded_near_duplicates(5, 600, 24)
    codes, old = codes[:300], codes[300:]
    kept = codes[deduplicate(codes, radius, against=old).kept()]
    assert not ranking.count(kept, old, radius).any()
    assert np.array_equal(ranking.count(kept, kept, radius), np.ones(len(kept), dtype=np.int64))


def test_old_items_in_parts_are_those_of_one_array():
    codes, old = CODES[:10], CODES[10:]
    expected = deduplicate(codes, 3, against=old)
    for parts in ([old[:0], old], [old[:7], old[7:8], old[8:]]):
        found = deduplicate(Database([codes[:4], codes[4:]]), 3, against=Database(parts))
        for name in ("representatives", "matches", "match_distances"):
            assert np.array_equal(getattr(found, name), getattr(expected, name))
        assert np.array_equal(found.diameters(Database([codes[:4], codes[4:]])), expected.diameters(codes))


def test_groups_kept_and_redundant_items_are_told():
    found = Duplicates(np.array([0, 1, 0, 3, 1, 5, 0]))
    assert [group.tolist() for group in found.groups()] == [[0, 2, 6], [1, 4]]
    assert found.kept().tolist() == [0, 1, 3, 5]
    assert found.redundant().tolist() == [2, 4, 6]
    for indices in (found.kept(), found.redundant(), *found.groups()):
        assert indices.dtype == np.int64


@pytest.mark.parametrize("representatives", [[], [0], [0, 1, 2]])
def test_items_that_are_alone_are_in_no_group(representatives):
    found = Duplicates(np.array(representatives, dtype=np.int64))
    assert found.groups() == []
    assert found.kept().tolist() == representatives
    assert found.redundant().tolist() == []


@pytest.mark.parametrize("radius", range(5))
def test_what_is_kept_has_no_near_duplicates_and_stands_for_the_rest(radius):
    codes = seeded_near_duplicates(1, 300, 24)
    found = deduplicate(codes, radius)
    kept = codes[found.kept()]
    assert np.array_equal(ranking.within(kept, kept, radius).offsets, np.arange(len(kept) + 1))
    assert sorted([*found.kept(), *found.redundant()]) == list(range(300))
    assert sum(len(group) - 1 for group in found.groups()) == len(found.redundant())


@pytest.mark.parametrize("n", [0, 1])
def test_no_items_and_one_item_are_answered(n):
    found = vtsearch.deduplicate(CODES[:n], 3)
    assert (found.representatives.dtype, found.representatives.tolist()) == (np.int64, list(range(n)))
    assert found.groups() == []
    assert (found.diameters(CODES[:n]).dtype, found.diameters(CODES[:n]).tolist()) == (np.int64, [])
    for old in (CODES[:0], CODES[:1]):
        found = vtsearch.deduplicate(CODES[:n], 3, against=old, max_diameter=3)
        assert found.representatives.tolist() == list(range(n))
        assert found.matches.tolist() == [len(old) - 1] * n


def test_a_radius_of_all_bits_or_more_gives_one_group():
    for radius in (16, 17, 10**30):
        assert not deduplicate(CODES, radius).representatives.any()


def test_any_old_item_is_within_a_radius_of_all_bits():
    for radius in (16, 17, 10**30):
        assert np.array_equal(
            deduplicate(CODES, radius, against=CODES[::-1].copy()).matches,
            ranking.rank(CODES, CODES[::-1].copy(), 1).indices[:, 0],
        )


def test_a_numpy_integer_is_a_radius():
    assert np.array_equal(deduplicate(CODES, np.int8(2)).representatives, deduplicate(CODES, 2).representatives)


def test_codes_that_are_not_uint8_are_refused():
    for codes in (CODES.astype(np.float32), CODES.astype(np.int8), CODES.tolist()):
        with pytest.raises(TypeError, match="codes: expected packed uint8 codes, got"):
            deduplicate(codes, 1)
        with pytest.raises(TypeError, match="codes: expected packed uint8 codes, got"):
            deduplicate(CODES, 1).diameters(codes)
        with pytest.raises(TypeError, match="against: expected packed uint8 codes, got"):
            deduplicate(CODES, 1, against=codes)


def test_widths_that_differ_are_refused():
    for old in (CODES[:, :1].copy(), Database([CODES[:, :1].copy()] * 2)):
        with pytest.raises(ValueError, match="against: expected 2 bytes per code as in codes, got 1"):
            deduplicate(CODES, 1, against=old)


def test_masks_are_refused():
    masked = Database(CODES, mask=np.ones(40, dtype=bool))
    with pytest.raises(ValueError, match="codes: expected a database without a mask, got one with a mask"):
        deduplicate(masked, 1)
    with pytest.raises(ValueError, match="against: expected a database without a mask, got one with a mask"):
        deduplicate(CODES, 1, against=masked)
    with pytest.raises(ValueError, match="codes: expected a database without a mask, got one with a mask"):
        deduplicate(CODES, 1).diameters(masked)


@pytest.mark.parametrize("n", [0, 39])
def test_diameters_of_other_codes_are_refused(n):
    with pytest.raises(ValueError, match=f"codes: expected the 40 codes that were deduplicated, got {n}"):
        deduplicate(CODES, 1).diameters(CODES[:n])


def test_a_bound_below_zero_or_not_an_int_is_refused():
    with pytest.raises(ValueError, match="max_diameter: expected at least 0, got -1"):
        deduplicate(CODES, 1, max_diameter=-1)
    with pytest.raises(TypeError, match=r"max_diameter: expected an int, got 2\.0"):
        deduplicate(CODES, 1, max_diameter=2.0)


@pytest.mark.parametrize("shape", [(), (16,), (2, 2, 2), (3, 0)])
def test_codes_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"codes: expected \(n, bytes\) with at least 1 byte per code"):
        deduplicate(np.zeros(shape, dtype=np.uint8), 1)


def test_codes_that_are_too_wide_are_refused():
    with pytest.raises(ValueError, match="codes: expected at most 8191 bytes per code, got 8192"):
        deduplicate(np.zeros((2, 8192), dtype=np.uint8), 1)


def test_large_strided_codes_are_never_copied(monkeypatch):
    assert deduplicate(CODES[::2], 1).representatives.shape == (20,)
    monkeypatch.setattr(_validate, "COPY_LIMIT", 10)
    with pytest.raises(ValueError, match=r"codes: expected C-contiguous .* numpy.ascontiguousarray\(codes\)"):
        deduplicate(CODES[::2], 1)
    with pytest.raises(ValueError, match=r"against: expected C-contiguous .* numpy.ascontiguousarray\(against\)"):
        deduplicate(CODES, 1, against=CODES[::2])


def test_a_radius_below_zero_or_not_an_int_is_refused():
    with pytest.raises(ValueError, match="radius: expected at least 0, got -1"):
        deduplicate(CODES, -1)
    with pytest.raises(TypeError, match=r"radius: expected an int, got 2\.0"):
        deduplicate(CODES, 2.0)


def test_threads_below_one_or_not_an_int_are_refused():
    with pytest.raises(ValueError, match="threads: expected at least 1, got 0"):
        deduplicate(CODES, 1, threads=0)
    with pytest.raises(TypeError, match=r"threads: expected an int, got 1\.5"):
        deduplicate(CODES, 1, threads=1.5)
    with pytest.raises(ValueError, match="threads: expected at least 1, got 0"):
        deduplicate(CODES, 1).diameters(CODES, threads=0)
    with pytest.raises(TypeError, match=r"threads: expected an int, got 1\.5"):
        deduplicate(CODES, 1).diameters(CODES, threads=1.5)


def test_progress_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="progress: expected a function of items done and items in all, got 7"):
        deduplicate(CODES, 1, progress=7)
    with pytest.raises(TypeError, match="progress: expected a function of items done and items in all, got 7"):
        deduplicate(CODES, 1).diameters(CODES, progress=7)
