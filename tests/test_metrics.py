"""What metrics accept, refuse and return; average precision is compared further in tests/native and conformance."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import retrievals, seeded_codes

from vtsearch import metrics, reference
from vtsearch._database import Database

QUERIES = seeded_codes(0, 3, 16)
DATABASE = seeded_codes(1, 20, 16)
QUERY_LABELS = np.array([0, 1, 9])
DB_LABELS = np.arange(20) % 3
SINGLE = (QUERIES, DATABASE, QUERY_LABELS, DB_LABELS)
CALLS = [metrics.average_precision, metrics.mean_average_precision, metrics.relevance_histograms]
EVERY_CALL = pytest.mark.parametrize("call", CALLS)
AT_K = ("precision_at", "recall_at", "hit_at", "ndcg_at", "acg_at", "wap_at")
WITHIN = ("precision_within", "recall_within")
GRADED = ("ndcg_at", "acg_at", "wap_at")


@settings(deadline=None, max_examples=300)
@given(retrieval=retrievals(), k=st.integers(1, 70))
def test_the_metrics_of_any_small_retrieval_are_the_reference(retrieval, k):
    actual = metrics.relevance_histograms(*retrieval, gains=True)
    expected = reference.relevance_histograms(*retrieval, gains=True)
    for name in (*AT_K, *WITHIN):
        score, oracle = getattr(metrics, name)(actual, k), getattr(reference, name)(expected, k)
        np.testing.assert_allclose(score, oracle, rtol=1e-12, atol=1e-15, err_msg=name)
    np.testing.assert_allclose(metrics.r_precision(actual), reference.r_precision(expected), rtol=1e-12)
    for top in (k, None):
        rank, oracle = metrics.reciprocal_rank(actual, top), reference.reciprocal_rank(expected, top)
        np.testing.assert_allclose(rank, oracle, rtol=1e-12)
    for ties in ("expected", "best", "worst"):
        np.testing.assert_allclose(
            metrics.average_precision_of(actual, k, ties=ties),
            reference.average_precision_of(expected, k, ties=ties),
            rtol=1e-12,
            atol=1e-15,
        )


@pytest.mark.parametrize("k", [1, 100, 1500, 9000])
def test_graded_metrics_keep_their_digits_over_thousands_of_items(k):
    rng = np.random.default_rng(k)
    retrieval = (
        seeded_codes(1, 5, 16),
        seeded_codes(2, 7000, 16),
        (rng.random((5, 20)) < 0.2).astype(float),
        (rng.random((7000, 20)) < 0.2).astype(float),
    )
    actual = metrics.relevance_histograms(*retrieval, gains=True)
    expected = reference.relevance_histograms(*retrieval, gains=True)
    for name in AT_K:
        score, oracle = getattr(metrics, name)(actual, k), getattr(reference, name)(expected, k)
        np.testing.assert_allclose(score, oracle, rtol=1e-11, err_msg=name)


@pytest.mark.parametrize("numbers", [[0, 1, 2], [-5, 0, 7], [-(2**63), 3, 2**63 - 1], [4], [10**12, 10**12 + 1]])
@pytest.mark.parametrize("k", [None, 1, 7, 1000])
def test_usual_arguments_and_others_give_the_same_scores(numbers, k):
    rng = np.random.default_rng(0)
    queries, codes = seeded_codes(0, 9, 64), seeded_codes(1, 80, 64, "few")
    labels = np.array([*numbers, 99])[rng.integers(0, len(numbers) + 1, 89)]
    sides = queries, codes, labels[:9], labels[9:]
    for ties in ("expected", "best", "worst"):
        usual = metrics.average_precision(*sides, k, ties=ties)
        others = metrics.average_precision(
            queries, Database(codes), labels[:9].tolist(), labels[9:].tolist(), k, ties=ties
        )
        np.testing.assert_array_equal(usual, others)
        expected = reference.average_precision(*sides, k, ties=ties)
        np.testing.assert_allclose(usual, expected, rtol=1e-12, atol=1e-15)


def test_many_queries_are_counted_in_blocks(monkeypatch):
    expected = metrics.average_precision(*SINGLE)
    for module in (metrics.histograms, metrics.precision):
        monkeypatch.setattr(module, "HISTOGRAM_BYTES", 1)
    assert np.array_equal(metrics.average_precision(*SINGLE), expected)


def test_gain_counts_are_the_reference():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (300, 5)), rng.integers(0, 2, (40, 5))
    codes = seeded_codes(0, 300, 16), seeded_codes(0, 40, 16)
    counts = metrics.relevance_histograms(*codes, *labels, gains=True).gain_counts
    assert np.array_equal(counts, reference.relevance_histograms(*codes, *labels, gains=True).gain_counts)


def test_the_mean_counts_queries_that_meet_nothing():
    scores = metrics.average_precision(*SINGLE)
    assert scores[2] == 0
    assert metrics.mean_average_precision(*SINGLE) == scores.mean()


@pytest.mark.parametrize("ties", ["expected", "index", "best", "worst"])
def test_single_labels_equal_their_one_hot_form(ties):
    one_hot = [np.eye(10)[labels].astype(kind) for labels, kind in [(QUERY_LABELS, int), (DB_LABELS, bool)]]
    single = metrics.average_precision(*SINGLE, ties=ties)
    assert np.array_equal(metrics.average_precision(QUERIES, DATABASE, *one_hot, ties=ties), single)


@pytest.mark.parametrize("shift", [-(2**63), -5, 2**62])
def test_labels_are_any_integers(shift):
    shifted = [labels.astype(np.int64) + shift for labels in (QUERY_LABELS, DB_LABELS)]
    assert np.array_equal(metrics.average_precision(QUERIES, DATABASE, *shifted), metrics.average_precision(*SINGLE))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_have_any_integer_dtype(dtype):
    labels = QUERY_LABELS.astype(dtype), DB_LABELS.tolist()
    assert np.array_equal(metrics.average_precision(QUERIES, DATABASE, *labels), metrics.average_precision(*SINGLE))


def test_a_single_query_is_a_batch_of_one():
    alone = metrics.average_precision(QUERIES[0], DATABASE, QUERY_LABELS[:1], DB_LABELS)
    assert np.array_equal(alone, metrics.average_precision(*SINGLE)[:1])


def test_no_queries_have_no_scores_and_no_mean():
    none = (QUERIES[:0], DATABASE, QUERY_LABELS[:0], DB_LABELS)
    for ties in ("expected", "index", "best", "worst"):
        assert metrics.average_precision(*none, ties=ties).shape == (0,)
    with pytest.raises(ValueError, match="query_codes: expected at least 1 query to take a mean over, got none"):
        metrics.mean_average_precision(*none)
    histograms = metrics.relevance_histograms(*none, gains=True)
    for name in (*AT_K, *WITHIN):
        assert getattr(metrics, name)(histograms, 5).shape == (0,)


def test_an_empty_database_has_no_average_precision():
    empty = (QUERIES, DATABASE[:0], QUERY_LABELS, DB_LABELS[:0])
    for call in (metrics.average_precision, metrics.mean_average_precision):
        with pytest.raises(ValueError, match="db_codes: expected at least 1 code, got an empty database"):
            call(*empty)
    histograms = metrics.relevance_histograms(*empty, gains=True)
    for name in (*AT_K, *WITHIN):
        assert getattr(metrics, name)(histograms, 5).tolist() == [0, 0, 0]


def test_relevance_histograms_without_gains_refuse_graded_metrics():
    histograms = metrics.relevance_histograms(*SINGLE)
    assert histograms.gains is None
    for name in GRADED:
        with pytest.raises(ValueError, match=r"histograms: expected gains, got none; .*gains=True"):
            getattr(metrics, name)(histograms, 5)


@EVERY_CALL
def test_labels_of_another_length_are_refused(call):
    with pytest.raises(ValueError, match="query_labels: expected 3 rows, one for each of query_codes, got 2"):
        call(QUERIES, DATABASE, QUERY_LABELS[:2], DB_LABELS)
    with pytest.raises(ValueError, match="db_labels: expected 20 rows, one for each of db_codes, got 21"):
        call(QUERIES, DATABASE, QUERY_LABELS, np.arange(21))


@EVERY_CALL
def test_labels_of_two_forms_are_refused(call):
    with pytest.raises(ValueError, match=r"db_labels: expected the form of query_labels \(3,\)"):
        call(QUERIES, DATABASE, QUERY_LABELS, np.eye(20))
    with pytest.raises(ValueError, match=r"db_labels: expected the form of query_labels \(3, 3\)"):
        call(QUERIES, DATABASE, np.eye(3), np.eye(20))


@EVERY_CALL
@pytest.mark.parametrize("labels", [[0.0, 1.0, 2.0], [True, False, True], ["cat", "dog", "cat"]])
def test_flat_labels_that_are_not_integers_are_refused(call, labels):
    with pytest.raises(TypeError, match=r"query_labels: expected int \(n,\), or 0/1 \(n, classes\), got"):
        call(QUERIES, DATABASE, labels, DB_LABELS)


@EVERY_CALL
@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_label_matrices_of_other_values_than_0_and_1_are_refused(call, value):
    labels = np.full((20, 3), value)
    with pytest.raises(ValueError, match=r"db_labels: expected 0 and 1 in \(n, classes\)"):
        call(QUERIES, DATABASE, np.eye(3), labels)


@EVERY_CALL
@pytest.mark.parametrize("shape", [(), (3, 0), (3, 2, 2)])
def test_labels_of_another_shape_are_refused(call, shape):
    with pytest.raises(ValueError, match=r"query_labels: expected int \(n,\), or 0/1 \(n, classes\), got"):
        call(QUERIES, DATABASE, np.zeros(shape, dtype=int), DB_LABELS)


def test_labels_beyond_int64_are_refused():
    with pytest.raises(ValueError, match="query_labels: expected labels that fit int64, got 18446744073709551615"):
        metrics.average_precision(QUERIES, DATABASE, np.array([2**64 - 1, 0, 0], dtype=np.uint64), DB_LABELS)


@EVERY_CALL
def test_codes_and_threads_are_checked(call):
    with pytest.raises(TypeError, match="query_codes: expected packed uint8 codes, got float64"):
        call(QUERIES.astype(float), *SINGLE[1:])
    with pytest.raises(ValueError, match="threads: expected at least 1, got 0"):
        call(*SINGLE, threads=0)
    with pytest.raises(TypeError, match="threads: expected an int, got '2'"):
        call(*SINGLE, threads="2")


@pytest.mark.parametrize("call", [metrics.average_precision, metrics.mean_average_precision])
def test_choices_and_k_are_checked(call):
    with pytest.raises(ValueError, match="ties: expected one of expected, index, best, worst, got 'random'"):
        call(*SINGLE, ties="random")
    with pytest.raises(ValueError, match="normalizer: expected one of retrieved, relevant, min, got 'R'"):
        call(*SINGLE, normalizer="R")
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        call(*SINGLE, 0)
    with pytest.raises(TypeError, match=r"k: expected an int, got 1\.0"):
        call(*SINGLE, 1.0)


def test_average_precision_of_histograms_checks_its_choices():
    histograms = metrics.relevance_histograms(*SINGLE)
    with pytest.raises(ValueError, match="ties: expected expected, best or worst of histograms, got 'index'"):
        metrics.average_precision_of(histograms, ties="index")
    with pytest.raises(ValueError, match="ties: expected one of"):
        metrics.average_precision_of(histograms, ties="none")
    with pytest.raises(ValueError, match="normalizer: expected one of"):
        metrics.average_precision_of(histograms, normalizer="none")
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        metrics.average_precision_of(histograms, 0)
    with pytest.raises(TypeError, match="k: expected an int, got True"):
        metrics.average_precision_of(histograms, True)


@pytest.mark.parametrize("name", AT_K)
def test_the_k_of_every_metric_is_checked(name):
    histograms = metrics.relevance_histograms(*SINGLE, gains=True)
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        getattr(metrics, name)(histograms, 0)
    with pytest.raises(TypeError, match="k: expected an int, got None"):
        getattr(metrics, name)(histograms, None)


def test_a_first_relevant_item_among_thousands_of_ties():
    """By the formulas of one group: hit@k = 1 - C(n - r, k) / C(n, k); a lone relevant item has H(n) / n."""
    n = 20_000
    histograms = metrics.RelevanceHistograms(np.array([[0, n], [5, n]]), np.array([[0, 1], [0, 300]]))
    harmonic = (1 / np.arange(1, n + 1)).sum()
    np.testing.assert_allclose(metrics.reciprocal_rank(histograms)[0], harmonic / n, rtol=1e-12)
    np.testing.assert_allclose(metrics.hit_at(histograms, 50)[0], 50 / n, rtol=1e-12)
    missed = np.prod([(n - 300 - i) / (n - i) for i in range(45)])
    np.testing.assert_allclose(metrics.hit_at(histograms, 50)[1], 1 - missed, rtol=1e-11)
    np.testing.assert_allclose(metrics.r_precision(histograms), [1 / n, 295 / n], rtol=1e-12)


def test_the_k_of_a_reciprocal_rank_is_checked():
    histograms = metrics.relevance_histograms(*SINGLE)
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        metrics.reciprocal_rank(histograms, 0)
    with pytest.raises(TypeError, match="k: expected an int, got True"):
        metrics.reciprocal_rank(histograms, True)


@pytest.mark.parametrize("name", WITHIN)
def test_the_radius_of_every_metric_is_checked(name):
    histograms = metrics.relevance_histograms(*SINGLE)
    with pytest.raises(ValueError, match="radius: expected at least 0, got -1"):
        getattr(metrics, name)(histograms, -1)
    with pytest.raises(TypeError, match=r"radius: expected an int, got 2\.5"):
        getattr(metrics, name)(histograms, 2.5)


@pytest.mark.parametrize(
    ("items", "relevant", "message"),
    [
        (np.ones((1, 9)), np.ones((1, 9)), r"items: expected int64 \(q, bins\) of one shape, got float64"),
        (np.ones(9, dtype=int), np.ones(9, dtype=int), r"items: expected int64 \(q, bins\)"),
        (np.ones((1, 9), dtype=int), np.ones((1, 8), dtype=int), r"relevant: expected int64 \(q, bins\)"),
        (np.ones((1, 9), dtype=int), np.full((1, 9), 2), "relevant: expected counts from 0 to those of items"),
        (np.ones((1, 9), dtype=int), np.full((1, 9), -1), "relevant: expected counts from 0 to those of items"),
    ],
)
def test_histograms_that_count_nothing_possible_are_refused(items, relevant, message):
    with pytest.raises(ValueError, match=message):
        metrics.RelevanceHistograms(items, relevant)


@pytest.mark.parametrize("cuts", [(7,), (0, 3, 3, 19)])
def test_histograms_of_parts_add_up_to_those_of_the_whole(cuts):
    rng = np.random.default_rng(0)
    labels, db_labels = (rng.random((3, 6)) < 0.4).astype(int), (rng.random((20, 6)) < 0.4).astype(int)
    whole = metrics.relevance_histograms(QUERIES, DATABASE, labels, db_labels, gains=True)
    parts = [
        metrics.relevance_histograms(QUERIES, codes, labels, part, gains=True)
        for codes, part in zip(np.split(DATABASE, cuts), np.split(db_labels, cuts), strict=True)
    ]
    total = functools.reduce(operator.add, parts)
    for name in ("items", "relevant", "gains", "exponential_gains", "gain_counts"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))


def test_histograms_that_do_not_belong_together_are_not_added():
    plain = metrics.relevance_histograms(*SINGLE)
    with pytest.raises(ValueError, match=r"items: expected one shape in both, got \(3, 17\) and \(2, 17\)"):
        plain + metrics.relevance_histograms(QUERIES[:2], DATABASE, QUERY_LABELS[:2], DB_LABELS)
    with pytest.raises(ValueError, match="gains: expected in both or in neither, got in one"):
        plain + metrics.relevance_histograms(*SINGLE, gains=True)
    with pytest.raises(TypeError, match="unsupported operand"):
        plain + 1
