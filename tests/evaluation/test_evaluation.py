from __future__ import annotations

import json

import numpy as np
import pytest

from vtsearch import bootstrap_interval, metrics, reference
from vtsearch.evaluation import Evaluation, evaluate, evaluation_of


def sides(seed=0, bits=12, queries=7, database=60, classes=4, *, multi=False):
    draw = np.random.default_rng(seed)
    codes = [reference.pack(draw.integers(0, 2, (n, bits))) for n in (queries, database)]
    shape = (classes,) if multi else ()
    labels = [draw.integers(0, 2 if multi else classes, (n, *shape)) for n in (queries, database)]
    return (*codes, *labels)


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("normalizer", ["retrieved", "relevant", "min"])
@pytest.mark.parametrize("k", [1, 10, 60, None])
def test_every_tie_rule_is_that_of_the_reference(multi, normalizer, k):
    data = sides(multi=multi)
    found = evaluate(*data, k, normalizer=normalizer).mean_average_precision
    for ties in ("expected", "index", "best", "worst"):
        expected = reference.mean_average_precision(*data, k, ties=ties, normalizer=normalizer)
        assert getattr(found, ties) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert found.worst <= found.expected <= found.best
    assert found.worst <= found.index <= found.best


def test_cut_offs_and_curves_are_those_of_the_reference():
    query_codes, db_codes, query_labels, db_labels = data = sides(database=1200)
    found = evaluate(*data)
    histograms = reference.relevance_histograms(*data)
    assert [point.n for point in found.cut_offs] == [1, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert [point.n for point in found.published_curve] == [1, 500, 1000]
    for point in (*found.cut_offs, *found.published_curve):
        assert point.precision == pytest.approx(reference.precision_at(histograms, point.n).mean())
        assert point.recall == pytest.approx(reference.recall_at(histograms, point.n).mean())
    distances = reference.distances(query_codes, db_codes)
    relevant = query_labels[:, None] == db_labels
    for point in found.radius_curve:
        inside = distances <= point.radius
        right = (inside & relevant).sum(axis=1)
        assert point.items == pytest.approx(inside.sum(axis=1).mean())
        assert point.precision == pytest.approx((right / np.maximum(inside.sum(axis=1), 1)).mean())
        assert point.recall == pytest.approx((right / relevant.sum(axis=1)).mean())
    assert found.precision_within_2 == found.radius_curve[2].precision
    assert found.chance == pytest.approx(relevant.mean())


def test_the_radius_curve_ends_with_the_whole_database():
    last = evaluate(*sides(bits=12), bits=12).radius_curve[-1]
    assert (last.radius, last.items, last.recall) == (12, 60, 1)


def test_graded_relevance_is_that_of_the_reference_and_only_for_multi_label():
    data = sides(multi=True)
    histograms = reference.relevance_histograms(*data, gains=True)
    gains = evaluate(*data, 10).gains
    assert gains.ndcg == pytest.approx(reference.ndcg_at(histograms, 10).mean())
    assert gains.acg == pytest.approx(reference.acg_at(histograms, 10).mean())
    assert gains.wap == pytest.approx(reference.wap_at(histograms, 10).mean())
    assert evaluate(*sides()).gains is None


def test_when_all_is_tied_the_bounds_are_far_apart():
    codes, labels = np.zeros((4, 1), np.uint8), np.array([0, 1, 0, 1])
    score = evaluate(codes[:1], codes, labels[:1], labels, 2).mean_average_precision
    assert (score.best, score.worst, score.index) == (1, 0, 1)
    assert score.expected == pytest.approx(2 / 3)  # spec/tie_aware_cases.json: one group, cut inside


def test_a_query_without_relevant_items_counts_as_nothing():
    found = evaluate(*sides()[:2], np.full(7, 9), np.zeros(60, int))
    assert found.mean_average_precision.expected == found.chance == found.precision_within_2 == 0
    assert found.cut_offs[0].recall == 0


def test_scores_of_each_query_average_to_the_map():
    found = evaluate(*sides(), 10)
    assert len(found.average_precisions) == 7
    assert np.mean(found.average_precisions) == pytest.approx(found.mean_average_precision.expected)


def test_the_interval_is_that_of_the_expected_scores():
    found = evaluate(*sides(queries=30), 10)
    assert found.bootstrap_interval == bootstrap_interval(found.average_precisions)
    assert found.bootstrap_interval.mean == found.mean_average_precision.expected


def test_a_single_query_has_no_interval():
    found = evaluate(*sides(queries=1), 10)
    assert found.bootstrap_interval is None
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("multi", [False, True])
def test_an_evaluation_survives_json(multi):
    found = evaluate(*sides(multi=multi), 5, normalizer="min", bits=12)
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("change", [{"unknown": 1}, {"queries": None}])
def test_a_strange_dictionary_is_refused(change):
    values = evaluate(*sides()).to_dict() | change
    if change == {"queries": None}:
        del values["queries"]
    with pytest.raises(TypeError):
        Evaluation.from_dict(values)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"query_codes": np.zeros((0, 2), np.uint8), "query_labels": np.zeros(0, int)}, ValueError, "query_codes"),
        ({"db_codes": np.zeros((0, 2), np.uint8), "db_labels": np.zeros(0, int)}, ValueError, "db_codes"),
        ({"db_codes": np.zeros((60, 2))}, TypeError, "db_codes"),
        ({"db_codes": np.zeros((60, 3), np.uint8)}, ValueError, "db_codes"),
        ({"query_labels": np.zeros(6, int)}, ValueError, "query_labels"),
        ({"db_labels": np.zeros(61, int)}, ValueError, "db_labels"),
        ({"db_labels": np.zeros((60, 4), int)}, ValueError, "labels"),
        ({"db_labels": np.array(["cat"] * 60)}, TypeError, "db_labels"),
        ({"k": 0}, ValueError, "k: "),
        ({"k": 1.5}, TypeError, "k: "),
        ({"normalizer": "max"}, ValueError, "normalizer: "),
    ],
)
def test_a_wrong_argument_is_named(changes, kind, message):
    names = ("query_codes", "db_codes", "query_labels", "db_labels")
    with pytest.raises(kind, match=message):
        evaluate(**(dict(zip(names, sides(), strict=True)) | changes))


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("k", [7, None])
def test_what_was_counted_before_gives_the_same_evaluation(multi, k):
    data = sides(multi=multi)
    histograms = metrics.relevance_histograms(*data, gains=multi)
    by_index = metrics.average_precision(*data, k, ties="index", normalizer="min")
    assert evaluation_of(histograms, by_index, k, normalizer="min", bits=12) == evaluate(
        *data, k, normalizer="min", bits=12
    )


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"by_index": np.zeros(6)}, ValueError, r"by_index: expected \(7,\) scores, one for each query, got \(6,\)"),
        ({"k": 1.5}, TypeError, "k: "),
        ({"k": 0}, ValueError, "k: "),
        ({"normalizer": "max"}, ValueError, "normalizer: "),
        ({"bits": 1}, ValueError, "bits: expected at least"),
        (
            {"histograms": metrics.RelevanceHistograms(*np.zeros((2, 7, 17), int))},
            ValueError,
            "mask: expected at least",
        ),
    ],
)
def test_a_wrong_part_of_an_evaluation_is_named(changes, kind, message):
    counted = {"histograms": metrics.relevance_histograms(*sides()), "by_index": np.zeros(7), "bits": 12}
    with pytest.raises(kind, match=message):
        evaluation_of(**(counted | changes))
