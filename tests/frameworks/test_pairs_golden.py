"""The frameworks of pairs against the published code's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_losses import CASES, INPUTS, PRECISIONS, assert_golden, both_labels

from vtsearch.frameworks import framework_class
from vtsearch.frameworks.dch import DCHOptions
from vtsearch.frameworks.dfh import DFHOptions
from vtsearch.frameworks.dhn import DHNOptions
from vtsearch.frameworks.dpsh import DPSHOptions
from vtsearch.frameworks.dsh import DSHOptions
from vtsearch.frameworks.idhn import IDHNOptions

OPTIONS = {
    "DSH_vts": DSHOptions.published(),
    "DSH_fixed": DSHOptions(unseen="dissimilar"),
    "DSH_original_caffe": DSHOptions(pairs="distinct", quantization=0.01, reduction="sum"),
    "DSH_weixu000": DSHOptions(pairs="batch", quantization=0.02, reduction="sum"),
    "IDHN_published": IDHNOptions.published(),
    "IDHN_original_tf": IDHNOptions(pairs="batch"),
    "DHN_deephash": DHNOptions.published(),
    "DHN_thulab_tf_normed": DHNOptions(product="cosine", weights="similar", pairs="batch", quantization=0.0),
    "DPSH_deephash": DPSHOptions.published(),
    "DCH_deephash": DCHOptions.published(),
    "DCH_thulab_tf": DCHOptions(distance="euclidean", weights="similar", quantization=0.0),
    "DFH_deephash": DFHOptions.published(),
}


def build(name, options, train_size=10):
    return framework_class(name.partition("_")[0].lower())(16, 4, train_size, options)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("name", "labels"), both_labels(*OPTIONS))
def test_the_published_loss_and_gradient(name, labels, dtype, tolerance):
    assert_golden(build(name, OPTIONS[name]), CASES[name, labels], dtype, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("labels", ["single", "multi"])
def test_the_authors_loss_of_dfh_for_given_codes(labels, dtype, tolerance):
    """Their loss takes the bank and the codes as they are: both steps meet the first step's features."""
    case = CASES["DFH_original_loss", labels]
    framework = build("DFH", DFHOptions(margin=0.0, products="clamped"), train_size=6).to(dtype)
    codes = torch.tensor(case["state"]["B"], dtype=dtype).T
    first = torch.tensor(INPUTS["u_step1"], dtype=dtype)
    first_labels = torch.tensor(INPUTS[f"y_{labels}_step1"], dtype=dtype)
    sides = framework.sides(first, first_labels, torch.arange(6))
    framework.sides = lambda features, labels, _: sides._replace(left=features, left_labels=labels)
    framework._codes = lambda *_: codes
    for number, step in enumerate(case["steps"], start=1):
        features = torch.tensor(INPUTS[f"u_step{number}"], dtype=dtype, requires_grad=True)
        left_labels = torch.tensor(INPUTS[f"y_{labels}_step{number}"], dtype=dtype)
        loss = framework.loss(features, left_labels, torch.arange(6))
        loss.backward()
        assert loss.item() == pytest.approx(step["loss"], rel=tolerance)
        np.testing.assert_allclose(features.grad, step["grad"], rtol=0, atol=tolerance)


def test_all_published_cases_are_covered():
    prefixes = ("DSH", "IDHN", "DHN", "DPSH", "DCH", "DFH")
    assert {name for name, _ in CASES if name.startswith(prefixes)} == {*OPTIONS, "DFH_original_loss"}
