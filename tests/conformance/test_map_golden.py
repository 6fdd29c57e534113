"""Average precision of small retrieval problems: exact tie cases, and what the published evaluation code printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vtsearch import metrics, reference

CASES = json.loads((Path(__file__).parent / "map_golden.json").read_text())["cases"]
MODULES = pytest.mark.parametrize("module", [metrics, reference], ids=["native", "reference"])
CASE = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
BY_INDEX = {"ap_retrieved": "retrieved", "ap_over_R": "relevant", "ap_over_min_R_k": "min"}
OVER_ORDERS = {"tie_expected_ap_retrieved": "expected", "tie_best": "best", "tie_worst": "worst"}


def arguments(case):
    """Codes and labels; the k of a case's key. -1 stands for the published code's list without its last item."""
    codes = [reference.pack(np.array(case[name])) for name in ("query_codes", "database_codes")]
    return *codes, np.array(case["query_labels"]), np.array(case["database_labels"])


def column(case, k, name):
    return [query["at"][str(k)][name] for query in case["per_query"]]


@MODULES
@CASE
def test_histograms_are_those_of_the_case(module, case):
    histograms = module.relevance_histograms(*arguments(case))
    bins = case["bits"] + 1
    assert histograms.items[:, :bins].tolist() == [query["n_d"] for query in case["per_query"]]
    assert histograms.relevant[:, :bins].tolist() == [query["r_d"] for query in case["per_query"]]


@MODULES
@CASE
@pytest.mark.parametrize("name", BY_INDEX)
def test_ties_by_index_give_the_stable_sort_of_every_normalizer(module, case, name):
    for k in case["ks"]:
        effective = column(case, k, "effective_k")[0]
        actual = module.average_precision(*arguments(case), effective, ties="index", normalizer=BY_INDEX[name])
        assert actual == pytest.approx(column(case, k, name), rel=1e-12, abs=1e-15), k


@MODULES
@CASE
@pytest.mark.parametrize("name", OVER_ORDERS)
def test_ties_in_all_orders(module, case, name):
    for k in filter(lambda k: k > 0, case["ks"]):  # dropping the last item needs an order
        actual = module.average_precision(*arguments(case), k, ties=OVER_ORDERS[name])
        assert actual == pytest.approx(column(case, k, name), rel=1e-12, abs=1e-15), k


@MODULES
@CASE
def test_precision_and_recall_under_ties(module, case):
    histograms = module.relevance_histograms(*arguments(case))
    for k in filter(lambda k: k > 0, case["ks"]):
        assert module.precision_at(histograms, k) == pytest.approx(column(case, k, "tie_expected_precision"), rel=1e-12)
        if not case["has_ties"]:
            assert module.recall_at(histograms, k) == pytest.approx(column(case, k, "recall"), rel=1e-12)


@MODULES
@CASE
def test_published_code_under_a_stable_sort_is_ties_by_index(module, case):
    published = case["published_stable_sort"]["vts_CalcTopMap"]
    for k in filter(lambda k: k > 0, case["ks"]):
        actual = module.mean_average_precision(*arguments(case), k, ties="index")
        assert actual == pytest.approx(published[str(k)], rel=1e-12), k


@MODULES
@pytest.mark.parametrize("case", [case for case in CASES if not case["has_ties"]], ids=lambda case: case["name"])
@pytest.mark.parametrize("ties", ["expected", "index", "best", "worst"])
def test_published_code_is_every_tie_rule_where_nothing_is_tied(module, case, ties):
    published = case["published_default_sort"]["vts_CalcTopMap"]
    for k in filter(lambda k: k > 0, case["ks"]):
        actual = module.mean_average_precision(*arguments(case), k, ties=ties)
        assert actual == pytest.approx(published[str(k)], rel=1e-12), k
