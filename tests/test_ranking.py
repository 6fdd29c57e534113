"""What ranking accepts, refuses and returns; its answers are compared in tests/native."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import masks, retrievals, seeded_codes

from vtsearch import _validate, ranking, reference
from vtsearch.codes import pack

QUERIES = seeded_codes(0, 3, 16)
DATABASE = seeded_codes(1, 20, 16)
CALLS = {
    "rank": lambda queries, database, **options: ranking.rank(queries, database, 3, **options),
    "within": lambda queries, database, **options: ranking.within(queries, database, 3, **options),
    "count": lambda queries, database, **options: ranking.count(queries, database, 3, **options),
    "distances": ranking.distances,
    "histogram": ranking.histogram,
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
MASKED = pytest.mark.parametrize("call", [CALLS["rank"], CALLS["within"], CALLS["count"], CALLS["histogram"]])


@settings(deadline=None)
@given(retrieval=retrievals(), data=st.data())
def test_any_small_search_is_the_reference(retrieval, data):
    queries, database, _, _ = retrieval
    mask = data.draw(masks(len(database)))
    k, radius = data.draw(st.integers(1, len(database) + 2)), data.draw(st.integers(0, 70))
    for actual, expected in [
        (ranking.rank(queries, database, k, mask=mask), reference.rank(queries, database, k, mask=mask)),
        (ranking.within(queries, database, radius, mask=mask), reference.within(queries, database, radius, mask=mask)),
    ]:
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_ties_are_ordered_by_index():
    codes = pack([[1, 0], [0, 1], [1, 1], [0, 1]])
    assert ranking.rank(pack([[1, 1]]), codes).indices.tolist() == [[2, 0, 1, 3]]


def test_results_are_named_and_typed():
    ranked = ranking.rank(QUERIES, DATABASE, 4)
    assert (ranked.distances.dtype, ranked.indices.dtype, ranked.indices.shape) == (np.int32, np.int64, (3, 4))
    found = ranking.within(QUERIES, DATABASE, 8)
    assert found.offsets.shape == (4,)
    assert found.distances.shape == found.indices.shape == (found.offsets[-1],)
    assert ranking.histogram(QUERIES, DATABASE).shape == (3, 17)
    assert ranking.count(QUERIES, DATABASE, 8).tolist() == np.diff(found.offsets).tolist()


@EVERY_CALL
def test_a_single_query_is_a_batch_of_one(call):
    for alone, batch in zip(call(QUERIES[0], DATABASE), call(QUERIES[:1], DATABASE), strict=True):
        assert np.array_equal(alone, batch)


def test_k_of_none_or_beyond_the_database_means_all():
    assert ranking.rank(QUERIES, DATABASE).indices.shape == (3, 20)
    assert ranking.rank(QUERIES, DATABASE, 10**12).indices.shape == (3, 20)
    assert ranking.rank(QUERIES, DATABASE, np.int64(5)).indices.shape == (3, 5)


def test_a_mask_bounds_the_columns():
    mask = np.zeros(20, dtype=bool)
    assert ranking.rank(QUERIES, DATABASE, 5, mask=mask).indices.shape == (3, 0)
    mask[[4, 9]] = True
    assert sorted(ranking.rank(QUERIES, DATABASE, 5, mask=mask).indices[0].tolist()) == [4, 9]


def test_set_bits_after_the_last_item_of_a_packed_mask_mean_nothing():
    packed = np.full(3, 255, dtype=np.uint8)
    assert ranking.rank(QUERIES, DATABASE, mask=packed).indices.shape == (3, 20)
    assert ranking.histogram(QUERIES, DATABASE, mask=packed).sum(axis=1).tolist() == [20, 20, 20]


def test_an_empty_database_gives_empty_results():
    empty = DATABASE[:0]
    assert ranking.rank(QUERIES, empty, 3).indices.shape == (3, 0)
    assert ranking.within(QUERIES, empty, 3).offsets.tolist() == [0, 0, 0, 0]
    assert ranking.distances(QUERIES, empty).shape == (3, 0)
    assert not ranking.histogram(QUERIES, empty).any()


def test_no_queries_give_empty_results():
    assert ranking.rank(QUERIES[:0], DATABASE, 3).indices.shape == (0, 3)
    assert ranking.within(QUERIES[:0], DATABASE, 3).offsets.tolist() == [0]
    assert ranking.distances(QUERIES[:0], DATABASE).shape == (0, 20)
    assert ranking.histogram(QUERIES[:0], DATABASE).shape == (0, 17)


def test_a_radius_beyond_the_bits_finds_all():
    assert ranking.within(QUERIES, DATABASE, 10**9).offsets.tolist() == [0, 20, 40, 60]
    assert ranking.count(QUERIES, DATABASE, 10**9).tolist() == [20, 20, 20]


@EVERY_CALL
@pytest.mark.parametrize("dtype", [np.float32, np.bool_, object])
def test_codes_of_another_dtype_are_refused(call, dtype):
    with pytest.raises(TypeError, match=r"query_codes: expected packed uint8 codes, got \w+; vtsearch.pack"):
        call(QUERIES.astype(dtype), DATABASE)
    with pytest.raises(TypeError, match=r"db_codes: expected packed uint8 codes, got \w+; vtsearch.pack"):
        call(QUERIES, DATABASE.astype(dtype))


@EVERY_CALL
def test_codes_of_different_widths_are_refused(call):
    with pytest.raises(ValueError, match="query_codes: expected 2 bytes per code as in db_codes, got 1"):
        call(QUERIES[:, :1].copy(), DATABASE)


@EVERY_CALL
def test_codes_that_are_too_wide_are_refused(call):
    with pytest.raises(ValueError, match="query_codes: expected at most 8191 bytes per code, got 8192"):
        call(np.zeros((1, 8192), dtype=np.uint8), np.zeros((2, 8192), dtype=np.uint8))


@EVERY_CALL
@pytest.mark.parametrize("shape", [(), (2, 2, 2), (3, 0)])
def test_codes_of_another_shape_are_refused(call, shape):
    with pytest.raises(ValueError, match=r"query_codes: expected \(n, bytes\) with at least 1 byte per code"):
        call(np.zeros(shape, dtype=np.uint8), DATABASE)
    with pytest.raises(ValueError, match=r"db_codes: expected \(n, bytes\) with at least 1 byte per code"):
        call(QUERIES, np.zeros(shape, dtype=np.uint8))


@EVERY_CALL
def test_a_flat_database_is_refused(call):
    with pytest.raises(ValueError, match=r"db_codes: expected \(n, bytes\)"):
        call(QUERIES, DATABASE.ravel())


@EVERY_CALL
def test_flat_words_are_refused_as_ambiguous(call):
    words = DATABASE.view(np.uint16)[:, 0]
    with pytest.raises(ValueError, match="which may be one code or many"):
        call(words, DATABASE)
    with pytest.raises(ValueError, match="which may be one code or many"):
        call(QUERIES, words)


def test_a_large_strided_database_is_never_copied(monkeypatch):
    monkeypatch.setattr(_validate, "COPY_LIMIT", 10)
    with pytest.raises(ValueError, match=r"db_codes: expected C-contiguous .* numpy.ascontiguousarray\(db_codes\)"):
        ranking.rank(QUERIES, DATABASE[::2])
    assert ranking.rank(QUERIES[::2], DATABASE).indices.shape == (2, 20)


@pytest.mark.parametrize("k", [0, -1, np.int64(0)])
def test_k_below_one_is_refused(k):
    with pytest.raises(ValueError, match="k: expected at least 1, got"):
        ranking.rank(QUERIES, DATABASE, k)


@pytest.mark.parametrize("k", [1.0, True, "3", np.float64(2)])
def test_k_that_is_not_an_int_is_refused(k):
    with pytest.raises(TypeError, match="k: expected an int, got"):
        ranking.rank(QUERIES, DATABASE, k)


@pytest.mark.parametrize("call", [ranking.within, ranking.count])
def test_a_radius_below_zero_or_not_an_int_is_refused(call):
    with pytest.raises(ValueError, match="radius: expected at least 0, got -1"):
        call(QUERIES, DATABASE, -1)
    with pytest.raises(TypeError, match=r"radius: expected an int, got 2\.0"):
        call(QUERIES, DATABASE, 2.0)


@EVERY_CALL
def test_threads_below_one_or_not_an_int_are_refused(call):
    with pytest.raises(ValueError, match="threads: expected at least 1, got 0"):
        call(QUERIES, DATABASE, threads=0)
    with pytest.raises(TypeError, match=r"threads: expected an int, got 1\.5"):
        call(QUERIES, DATABASE, threads=1.5)


@MASKED
def test_masks_of_another_length_or_dtype_are_refused(call):
    with pytest.raises(ValueError, match=r"mask: expected bool \(20,\), one for each database code, got \(19,\)"):
        call(QUERIES, DATABASE, mask=np.ones(19, dtype=bool))
    with pytest.raises(ValueError, match=r"mask: expected 3 bytes of packed bits .* use mask.astype\(bool\)"):
        call(QUERIES, DATABASE, mask=np.ones(20, dtype=np.uint8))
    with pytest.raises(TypeError, match=r"mask: expected bool \(20,\), uint8 .*, got float64"):
        call(QUERIES, DATABASE, mask=np.ones(20))
    for positions in (np.ones(20, dtype=np.int64), [-1, 3], [3, 20], [3, 2], [3, 3]):
        with pytest.raises(ValueError, match=r"mask: expected "):
            call(QUERIES, DATABASE, mask=np.array(positions))
