"""Average precision of histograms whose exact values are known as fractions."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vtsearch import metrics, reference

GIVEN = json.loads((Path(__file__).parent / "tie_aware_cases.json").read_text())
MODULES = pytest.mark.parametrize("module", [metrics, reference], ids=["native", "reference"])
CASE = pytest.mark.parametrize("case", GIVEN["cases"], ids=[case["name"] for case in GIVEN["cases"]])
# "ap_sklearn_all" is not ours: scikit-learn gives all items of a group the precision at the group's end.
# There is no tie bound of "min": it differs from "relevant" by a factor that does not depend on the order.
NAMES = {
    "ap_retrieved": ("expected", "retrieved"),
    "ap_retrieved_max": ("best", "retrieved"),
    "ap_retrieved_min": ("worst", "retrieved"),
    "ap_min_r_k": ("expected", "min"),
    "ap_r": ("expected", "relevant"),
    "ap_r_max": ("best", "relevant"),
    "ap_r_min": ("worst", "relevant"),
}


def histograms_of(module, case):
    return module.RelevanceHistograms(np.array([case["n"]]), np.array([case["r"]]))


@MODULES
@CASE
@pytest.mark.parametrize("name", NAMES)
def test_average_precision_is_the_exact_fraction(module, case, name):
    ties, normalizer = NAMES[name]
    actual = module.average_precision_of(histograms_of(module, case), case["k"], ties=ties, normalizer=normalizer)
    assert actual == pytest.approx([float(Fraction(case["exact"][name]))], rel=1e-12, abs=1e-15)


@MODULES
@CASE
def test_precision_and_recall_are_the_exact_fractions(module, case):
    k = case["k"] or sum(case["n"])
    for name, metric in [("precision", module.precision_at), ("recall", module.recall_at)]:
        exact = float(Fraction(case["exact"][name]))
        assert metric(histograms_of(module, case), k) == pytest.approx([exact], rel=1e-12, abs=1e-15)


@MODULES
@pytest.mark.parametrize("case", GIVEN["large"], ids=lambda case: case["name"])
def test_a_cut_in_a_group_of_thousands_keeps_twelve_digits(module, case):
    for name, normalizer in [("retrieved", "retrieved"), ("min_r_k", "min"), ("r", "relevant")]:
        actual = module.average_precision_of(histograms_of(module, case), case["k"], normalizer=normalizer)
        assert actual == pytest.approx([case["value"][name]], rel=1e-12)
