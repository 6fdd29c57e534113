"""CSQ and HashNet against the published code's own numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from center_distances import minimum_distance
from golden_losses import CASES, GOLDEN, INPUTS, PRECISIONS, assert_golden, both_labels

from vtsearch.frameworks.centers import class_centers, majority_centers
from vtsearch.frameworks.csq import CSQ, CSQOptions
from vtsearch.frameworks.hashnet import HashNet, HashNetOptions

EPOCH_OF_SCALE = {"1.0000": 0, "1.4142": 20, "2.8284": 140}


def build_hashnet(name):
    if name == "HashNet_thuml_pairwise_loss":
        return HashNet(16, 4, 10, HashNetOptions(pairs="halves", alpha="10/bits", positive_weight=5.0))
    if name == "HashNet_thuml_pairwise_loss_updated":
        return HashNet(16, 4, 10, HashNetOptions(pairs="halves", alpha=1.0))
    if name == "CSQ_original_pairwise_term":
        return HashNet(16, 4, 10, HashNetOptions(pairs="halves", alpha="10/bits", positive_weight=1.0))
    framework = HashNet(16, 4, 10, HashNetOptions(pairs="bank" if "memory" in name else "batch", unseen="dissimilar"))
    framework.start_epoch(EPOCH_OF_SCALE[name[-6:]])
    return framework


def build_csq(name, labels):
    form = "logits" if name == "CSQ_logits_form" else "published"
    framework = CSQ(16, 4, 10, CSQOptions(quantization=0.05 if "original" in name else 1e-4, form=form))
    state = CASES[name, labels]["state"] or CASES["CSQ", labels]["state"]
    tie = state.get("multi_label_random_center_01", state.get("random_center_01"))
    framework.tie.copy_(torch.tensor(tie) * 2 - 1)
    return framework


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(
    ("name", "labels"),
    both_labels(
        *(f"HashNet_{pairs}_scale{scale}" for pairs in ("memory", "minibatch") for scale in EPOCH_OF_SCALE),
        "HashNet_thuml_pairwise_loss",
        "HashNet_thuml_pairwise_loss_updated",
        "CSQ_original_pairwise_term",
    ),
)
def test_hashnet_has_the_published_loss_and_gradient(name, labels, dtype, tolerance):
    assert_golden(build_hashnet(name), CASES[name, labels], dtype, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("name", "labels"), both_labels("CSQ", "CSQ_logits_form", "CSQ_original_multi"))
def test_csq_has_the_published_loss_and_gradient(name, labels, dtype, tolerance):
    steps = 1 if (name, labels) == ("CSQ_logits_form", "multi") else 2  # the file says to ignore that second step
    assert_golden(build_csq(name, labels), CASES[name, labels], dtype, tolerance, steps)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("labels", ["single", "multi"])
def test_both_forms_of_csq_agree_where_nothing_saturates(labels, dtype, tolerance):
    assert_golden(build_csq("CSQ_logits_form", labels), CASES["CSQ", labels], dtype, tolerance)


def test_all_published_cases_are_covered():
    losses, centers, majorities = 23, 4, 1  # as the tests above and below
    assert len([name for name, _ in CASES if name.startswith(("CSQ", "HashNet"))]) == losses + centers + majorities


@pytest.mark.parametrize("classes", [4, 20, 32])
def test_centers_are_the_published_hadamard_rows(classes):
    state = CASES[f"CSQ_centres_16bits_{classes}classes", "-"]["state"]
    centers = class_centers(classes, 16)
    np.testing.assert_array_equal(centers, state["hash_targets"])
    assert minimum_distance(centers) == state["min_dist"]


def test_more_classes_than_rows_lie_further_apart_than_the_published_draw():
    state = CASES["CSQ_centres_16bits_40classes", "-"]["state"]
    centers = class_centers(40, 16)
    np.testing.assert_array_equal(centers[:32], np.array(state["hash_targets"])[:32])
    assert state["min_dist"] == 2
    assert minimum_distance(centers) == 6


def test_majority_centers_are_the_published_ones():
    state = CASES["CSQ_label2center_multi", "multi"]["state"]
    centers, tie = torch.tensor(state["hash_targets"]), torch.tensor(state["random_center_01"]) * 2 - 1
    got = majority_centers(centers, torch.tensor(INPUTS["y_multi_step1"]), tie)
    np.testing.assert_array_equal(got, state["centers"])


def test_csq_is_exact_where_the_published_form_saturates():
    case = GOLDEN["saturation"]["CSQ_float32"]
    for form, result in (("published", "published"), ("logits", "exact")):
        framework = CSQ(2, 1, 2, CSQOptions(form=form))
        features = torch.tensor(case["u"], requires_grad=True)
        loss = framework(features, torch.zeros(2, dtype=torch.int64), torch.arange(2))
        loss.backward()
        assert loss.item() == pytest.approx(case[f"{result}_loss"], rel=1e-6)
        np.testing.assert_allclose(features.grad, case[f"{result}_grad"], rtol=2e-5, atol=1e-12)


def test_hashnet_is_finite_where_the_published_form_overflows():
    case = GOLDEN["saturation"]["HashNet_minibatch_float32_alpha50"]
    assert case["published_loss"] == "inf"
    losses = {}
    for dtype in (torch.float32, torch.float64):
        framework = HashNet(4, 2, 3, HashNetOptions(alpha=50.0, pairs="batch")).to(dtype)
        features = torch.tensor(case["u"], dtype=dtype, requires_grad=True)
        loss = framework(features, torch.tensor(case["y"]), torch.arange(3))
        loss.backward()
        losses[dtype] = loss.item()
        assert features.grad.isfinite().all()
    tanh = np.tanh(np.array(case["u"]))
    logits, labels = 50 * tanh @ tanh.T, np.array(case["y"])
    similar = labels @ labels.T > 0
    pairs = np.logaddexp(0, logits) - similar * logits
    exact = pairs[similar].mean() + pairs[~similar].mean()
    assert losses[torch.float64] == pytest.approx(exact, rel=1e-12)
    assert losses[torch.float32] == pytest.approx(exact, rel=1e-5)
    assert math.isfinite(exact)
