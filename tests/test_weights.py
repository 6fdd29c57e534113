"""Weights of query bits: made of features, accepted, refused; answers by instruction sets are in tests/native."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_answers import reference
from strategies import masks, retrievals, seeded_codes, seeded_queries

import vtsearch
from vtsearch import metrics, ranking
from vtsearch._database import Database

BITS, N = 24, 203
QUERIES, CODES = seeded_queries(0, 3, BITS), seeded_codes(1, N, BITS)
WEIGHTS = np.random.default_rng(2).integers(0, 64, (3, BITS))
LABELS = np.arange(3), np.arange(N) % 3
CALLS = {
    "rank": lambda codes, **options: ranking.rank(QUERIES, codes, 7, **options),
    "within": lambda codes, **options: ranking.within(QUERIES, codes, 300, **options),
    "count": lambda codes, **options: [ranking.count(QUERIES, codes, 300, **options)],
    "histogram": lambda codes, **options: [ranking.histogram(QUERIES, codes, **options)],
    "relevance": lambda codes, **options: [metrics.relevance_histograms(QUERIES, codes, *LABELS, **options).relevant],
    "precision": lambda codes, **options: [metrics.average_precision(QUERIES, codes, *LABELS, **options)],
    "by index": lambda codes, **options: [
        metrics.average_precision(QUERIES, codes, *LABELS, 9, ties="index", **options)
    ],
    "mean precision": lambda codes, **options: [metrics.mean_average_precision(QUERIES, codes, *LABELS, **options)],
}
UNMASKED = {
    "distances": lambda codes, **options: [ranking.distances(QUERIES, codes, **options)],
    "rescore": lambda codes, **options: vtsearch.rescore(np.arange(30).reshape(3, 10), QUERIES, codes, **options),
}
EVERY_CALL = pytest.mark.parametrize("call", (CALLS | UNMASKED).values(), ids=(CALLS | UNMASKED).keys())
EVERY_SCAN = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


def same(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# From features


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64])
def test_the_largest_feature_of_a_query_has_the_largest_weight(dtype):
    features = np.array([[1, -2, 0, 4], [-100, 50, 25, 1]], dtype=dtype)
    assert vtsearch.query_weights(features).tolist() == [[16, 32, 0, 63], [63, 32, 16, 1]]
    assert vtsearch.query_weights(features, levels=4).tolist() == [[1, 2, 0, 4], [4, 2, 1, 0]]
    assert vtsearch.query_weights(features, levels=1).tolist() == [[0, 0, 0, 1], [1, 0, 0, 0]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 63), st.sampled_from([1e-300, 1e-3, 1.0, 1e300]))
def test_weights_are_those_of_the_reference(seed, levels, scale):
    features = np.random.default_rng(seed).normal(size=(5, 19)) * scale
    features[seed % 5] = 0
    actual = vtsearch.query_weights(features, levels=levels)
    assert actual.dtype == np.uint8
    assert np.array_equal(actual, reference.query_weights(features, levels=levels))


def test_features_that_are_all_0_leave_items_in_the_order_of_their_index():
    weights = vtsearch.query_weights(np.zeros((1, BITS)))
    assert not weights.any()
    found = ranking.rank(QUERIES[:1], CODES, 5, weights=weights)
    assert (found.distances.tolist(), found.indices.tolist()) == ([[0] * 5], [[0, 1, 2, 3, 4]])


def test_no_features_have_no_weights():
    assert vtsearch.query_weights(np.zeros((0, 5))).shape == (0, 5)


def test_the_order_is_nearly_that_of_inner_products():
    rng = np.random.default_rng(0)
    features, codes = rng.normal(size=(20, 64)), seeded_codes(0, 3000, 64)
    products = features @ np.where(np.unpackbits(codes, axis=1) == 1, 1.0, -1.0).T
    queries, weights = vtsearch.pack(features), vtsearch.query_weights(features)
    nearest = np.argsort(-products, axis=1, kind="stable")[:, :100]
    kept = [
        len(np.intersect1d(*pair)) / 100
        for pair in zip(nearest, ranking.rank(queries, codes, 100, weights=weights).indices, strict=True)
    ]
    assert np.mean(kept) > 0.97


def test_sums_of_the_weights_of_wide_codes_fit_a_distance():
    features = np.ones((1, 5000))
    assert (vtsearch.query_weights(features) == 13).all()
    with pytest.raises(ValueError, match="levels: expected at most 13, got 14"):
        vtsearch.query_weights(features, levels=14)


@pytest.mark.parametrize("features", [np.zeros(3), np.zeros((2, 0)), np.zeros((1, 2, 3)), np.zeros((1, 65535))])
def test_features_of_another_shape_are_refused(features):
    with pytest.raises(ValueError, match=r"features: expected \(q, bits\) with 1 to 65534 bits, got \("):
        vtsearch.query_weights(features)


@pytest.mark.parametrize("features", [[["a", "b"]], [[True, False]], [[1j]]])
def test_features_that_are_not_numbers_are_refused(features):
    with pytest.raises(TypeError, match="features: expected numbers, got"):
        vtsearch.query_weights(features)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match=f"features: expected finite numbers, got {abs(value)}"):
        vtsearch.query_weights([[1.0, value], [2.0, 3.0]])


def test_levels_out_of_range_are_refused():
    for levels in (0, 64):
        with pytest.raises(ValueError, match=f"levels: expected at (least 1|most 63), got {levels}"):
            vtsearch.query_weights([[1.0]], levels=levels)
    with pytest.raises(TypeError, match=r"levels: expected an int, got 2\.0"):
        vtsearch.query_weights([[1.0]], levels=2.0)


# Searches


@settings(deadline=None)
@given(retrieval=retrievals(), data=st.data())
def test_any_small_search_is_the_reference(retrieval, data):
    queries, database, _, _ = retrieval
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    weights = rng.integers(0, 1 + data.draw(st.sampled_from([0, 1, 3, 63])), (len(queries), 8 * queries.shape[1]))
    options = {"mask": data.draw(masks(len(database))), "weights": weights}
    k, radius = data.draw(st.integers(1, len(database) + 2)), data.draw(st.integers(0, 3000))
    same(ranking.rank(queries, database, k, **options), reference.rank(queries, database, k, **options))
    same(ranking.within(queries, database, radius, **options), reference.within(queries, database, radius, **options))


@pytest.mark.parametrize("bits", [17, 18, 23, 24])
def test_weights_are_as_many_as_bits_or_bytes(bits):
    weights = np.random.default_rng(bits).integers(0, 64, (3, bits))
    padded = np.pad(weights, ((0, 0), (0, 24 - bits)))
    same(ranking.rank(QUERIES, CODES, weights=weights), reference.rank(QUERIES, CODES, weights=padded))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, ">i4", np.uint64])
def test_weights_of_any_integers_are_the_same(dtype):
    same(ranking.rank(QUERIES, CODES, weights=WEIGHTS.astype(dtype)), ranking.rank(QUERIES, CODES, weights=WEIGHTS))
    strided = np.repeat(WEIGHTS, 2, axis=1)[:, ::2].astype(dtype)
    same(ranking.rank(QUERIES, CODES, weights=strided), ranking.rank(QUERIES, CODES, weights=WEIGHTS))


def test_a_single_query_has_weights_of_one_dimension():
    same(ranking.rank(QUERIES[1], CODES, weights=WEIGHTS[1]), ranking.rank(QUERIES[1:2], CODES, weights=WEIGHTS[1:2]))


def test_no_queries_and_an_empty_database_give_empty_results():
    none = np.zeros((0, BITS), dtype=int)
    assert ranking.rank(QUERIES[:0], CODES, 3, weights=none).indices.shape == (0, 3)
    assert ranking.rank(QUERIES, CODES[:0], 3, weights=WEIGHTS).indices.shape == (3, 0)
    assert ranking.histogram(QUERIES[:0], CODES, weights=none).shape == (0, 1)


@EVERY_SCAN
@pytest.mark.parametrize("form", ["file", "parts", "files"])
def test_files_and_parts_are_searched_as_one_array(small_ranges, mapped, call, form):
    parts = np.split(CODES, [50, 50, 153])
    forms = {"file": mapped(CODES), "parts": Database(parts), "files": Database([*map(mapped, parts)])}
    mask, masks_of_queries = np.arange(N) % 3 > 0, np.random.default_rng(0).random((3, N)) < 0.5
    exclude = [[0, 7], [], [202]]
    for options in ({}, {"mask": mask}, {"mask": masks_of_queries}, {"exclude": exclude}):
        same(call(forms[form], weights=WEIGHTS, **options), call(CODES, weights=WEIGHTS, **options))


@EVERY_SCAN
def test_progress_rises_to_all_items(small_ranges, mapped, call):
    told = []
    call(mapped(CODES), weights=WEIGHTS, progress=lambda *done: told.append(done))
    assert told[-1] == (N, N)
    assert told == sorted(told)


def test_queries_with_masks_that_allow_fewer_than_k_are_named():
    masks_of_queries = np.ones((3, N), dtype=bool)
    masks_of_queries[1, 4:] = False
    with pytest.raises(ValueError, match="k: expected at most 4, the number of items that query 1 may find"):
        ranking.rank(QUERIES, CODES, 5, mask=masks_of_queries, weights=WEIGHTS)
    masks_of_queries[:, 4:] = False
    expected = reference.rank(QUERIES, CODES, 4, mask=masks_of_queries, weights=WEIGHTS)
    same(ranking.rank(QUERIES, CODES, 5, mask=masks_of_queries, weights=WEIGHTS), expected)


def test_queries_that_exclude_many_items_are_searched_under_masks():
    exclude = np.stack([np.arange(40), np.arange(100, 140), np.arange(0, 80, 2)])
    for k in (1, 50):
        options = {"exclude": exclude, "weights": WEIGHTS}
        same(ranking.rank(QUERIES, CODES, k, **options), reference.rank(QUERIES, CODES, k, **options))


@pytest.mark.parametrize("masked", [False, True])
def test_histograms_of_groups_of_queries_have_as_many_columns(monkeypatch, masked):
    monkeypatch.setattr("vtsearch._selection.MASK_BYTES", 1)
    weights = WEIGHTS // np.array([[9], [1], [3]])
    options = {"weights": weights, "mask": np.random.default_rng(0).random((3, N)) < 0.5 if masked else None}
    same([ranking.histogram(QUERIES, CODES, **options)], [reference.histogram(QUERIES, CODES, **options)])
    actual = metrics.relevance_histograms(QUERIES, CODES, *LABELS, gains=True, **options)
    expected = reference.relevance_histograms(QUERIES, CODES, *LABELS, gains=True, **options)
    for name in ("items", "relevant", "gains", "exponential_gains"):
        assert np.array_equal(getattr(actual, name), getattr(expected, name))


# Candidates


@pytest.mark.parametrize("form", ["array", "file", "parts"])
@pytest.mark.parametrize("k", [None, 1, 9, 50])
def test_candidates_are_ordered_by_weighted_distance(mapped, form, k):
    database = {
        "array": CODES,
        "file": mapped(CODES),
        "parts": Database(np.split(CODES, [60, 100]), mask=np.arange(N) < 9),
    }
    candidates = np.random.default_rng(0).integers(0, N, (3, 40))
    expected = reference.rescore(candidates, QUERIES, CODES, WEIGHTS, k)
    actual = vtsearch.rescore(candidates, QUERIES, database[form], WEIGHTS, k)
    assert [each.dtype for each in actual] == [np.int32, np.int64]
    same(actual, expected)


def test_candidates_of_a_ranking_of_all_are_all_by_weight():
    same(
        vtsearch.rescore(ranking.rank(QUERIES, CODES), QUERIES, CODES, WEIGHTS),
        ranking.rank(QUERIES, CODES, weights=WEIGHTS),
    )


def test_no_candidates_stay_none():
    assert vtsearch.rescore(np.zeros((3, 0)), QUERIES, CODES, WEIGHTS, 5).indices.shape == (3, 0)
    assert vtsearch.rescore(np.zeros((0, 4), dtype=int), QUERIES[:0], CODES, WEIGHTS[:0]).indices.shape == (0, 4)


@pytest.mark.parametrize("candidates", [np.arange(5), np.zeros((2, 5), dtype=int), np.zeros((3, 5, 1), dtype=int)])
def test_candidates_of_another_shape_are_refused(candidates):
    with pytest.raises(ValueError, match=r"candidates: expected a ranking or positions \(3, c\), got \("):
        vtsearch.rescore(candidates, QUERIES, CODES, WEIGHTS)


def test_candidates_that_are_no_positions_are_refused():
    with pytest.raises(TypeError, match="candidates: expected integers, positions in the database, got float64"):
        vtsearch.rescore(np.zeros((3, 2)), QUERIES, CODES, WEIGHTS)
    for wrong in (-1, N):
        with pytest.raises(ValueError, match=f"candidates: expected positions from 0 to {N - 1}, got "):
            vtsearch.rescore([[0, 1], [1, wrong], [2, 0]], QUERIES, CODES, WEIGHTS)


def test_k_of_candidates_is_checked():
    for k, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="k: expected"):
            vtsearch.rescore(np.zeros((3, 2), dtype=int), QUERIES, CODES, WEIGHTS, k)


# What is refused


@EVERY_CALL
@pytest.mark.parametrize("weights", [np.ones((3, BITS)), np.ones((3, BITS), dtype=bool), [["1"] * BITS] * 3])
def test_weights_that_are_not_integers_are_refused(call, weights):
    with pytest.raises(TypeError, match=r"weights: expected integers, got .*; use vtsearch.query_weights\(features\)"):
        call(CODES, weights=weights)


@EVERY_CALL
@pytest.mark.parametrize("shape", [(), (BITS,), (2, BITS), (3, 16), (3, 25), (3, BITS, 1)])
def test_weights_of_another_shape_are_refused(call, shape):
    with pytest.raises(ValueError, match=r"weights: expected \(3, 17 to 24\), one for each bit of a query, got \("):
        call(CODES, weights=np.ones(shape, dtype=int))


@EVERY_CALL
@pytest.mark.parametrize("weight", [-1, 64, 2**40])
def test_weights_out_of_range_are_refused(call, weight):
    weights = WEIGHTS.copy()
    weights[1, 3] = weight
    with pytest.raises(ValueError, match="weights: expected 0 to 63, got "):
        call(CODES, weights=weights)


def test_sums_of_weights_beyond_16_bits_are_refused():
    codes = seeded_codes(0, 3, 1048)
    weights = np.full((3, 1048), 62)
    weights[2] = 63
    with pytest.raises(
        ValueError, match=r"weights: expected a sum of at most 65534 for each query, got 66024 \(query 2\)"
    ):
        ranking.rank(codes, codes, weights=weights)
    weights[2] = 62
    same(ranking.rank(codes, codes, weights=weights), reference.rank(codes, codes, weights=weights))


def test_codes_that_do_not_fit_are_refused_with_weights_too():
    with pytest.raises(ValueError, match="query_codes: expected 3 bytes per code as in db_codes, got 2"):
        vtsearch.rescore(np.zeros((3, 2), dtype=int), QUERIES[:, :2].copy(), CODES, WEIGHTS)
    with pytest.raises(TypeError, match="db_codes: expected packed uint8 codes, got float64"):
        ranking.rank(QUERIES, CODES.astype(float), weights=WEIGHTS)
