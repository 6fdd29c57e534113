"""What deduplicate accepts, refuses and returns; its groups are compared in tests/native and tests/streaming."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeded_near_duplicates

import vtsearch
from vtsearch import _validate, ranking, reference
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


def test_the_reference_follows_chains_and_nothing_else():
    codes = pack([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 1, 1]])
    assert reference.deduplicate(codes, 0).tolist() == [0, 1, 2, 3, 4]
    assert reference.deduplicate(codes, 1).tolist() == [0, 1, 0, 0, 1]
    assert reference.deduplicate(codes, 2).tolist() == [0, 1, 0, 0, 1]
    assert reference.deduplicate(codes, 3).tolist() == [0, 0, 0, 0, 0]


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


def test_a_radius_of_all_bits_or_more_gives_one_group():
    for radius in (16, 17, 10**30):
        assert not deduplicate(CODES, radius).representatives.any()


def test_a_numpy_integer_is_a_radius():
    assert np.array_equal(deduplicate(CODES, np.int8(2)).representatives, deduplicate(CODES, 2).representatives)


def test_codes_that_are_not_uint8_are_refused():
    for codes in (CODES.astype(np.float32), CODES.astype(np.int8), CODES.tolist()):
        with pytest.raises(TypeError, match="codes: expected packed uint8 codes, got"):
            deduplicate(codes, 1)


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


def test_progress_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="progress: expected a function of items done and items in all, got 7"):
        deduplicate(CODES, 1, progress=7)
