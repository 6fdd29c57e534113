"""GreedyHash, DPN and OrthoHash, and the drawn centers, against the published code's own numbers."""

from __future__ import annotations

import pytest
import torch
from golden_losses import CASES, INPUTS, PRECISIONS, assert_golden, both_labels

from vtsearch.frameworks.centers import draw_centers
from vtsearch.frameworks.dpn import DPN, DPNOptions
from vtsearch.frameworks.greedyhash import GreedyHash, GreedyHashOptions
from vtsearch.frameworks.orthohash import OrthoHash, OrthoHashOptions

GREEDYHASH = [f"GreedyHash_{code}_alpha{alpha}" for code in ("vts", "dh") for alpha in ("0.1", "1.0")]
MARGINS = {"OrthoHash_cos": "cosine", "OrthoHash_arc": "angle"}


def build_dpn(name, labels):
    state = CASES[name, labels]["state"]
    if name == "DPN_original":
        multi_label = "each" if labels == "multi" else "first"
        framework = DPN(16, 4, 10, DPNOptions(centers="bernoulli", multi_label=multi_label, over_bits="sum"))
        framework.centers.copy_(torch.tensor(state["centroids"]))
        return framework
    framework = DPN(16, 4, 10, DPNOptions(centers="balanced", ternary=name == "DPN-T_deephash"))
    framework.tie.copy_(torch.tensor(state["multi_label_random_center_01"]) * 2 - 1)
    framework.centers.copy_(torch.tensor(state["target_vectors"]))
    return framework


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("classifier", ["frozen", "trained"])
@pytest.mark.parametrize(("name", "labels"), both_labels(*GREEDYHASH))
def test_greedyhash_has_the_published_loss_and_gradient(name, labels, classifier, dtype, tolerance):
    alpha = CASES[name, labels]["config"]["alpha"]
    framework = GreedyHash(16, 4, 10, GreedyHashOptions(alpha=alpha, classifier=classifier, multi_label="first"))
    framework = framework.to(dtype)
    with torch.no_grad():
        framework.classifier.copy_(torch.tensor(INPUTS["greedy_fc"], dtype=dtype))
    assert_golden(framework, CASES[name, labels], dtype, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("name", "labels"), both_labels("DPN_deephash", "DPN-T_deephash", "DPN_original"))
def test_dpn_has_the_published_loss_and_gradient(name, labels, dtype, tolerance):
    assert_golden(build_dpn(name, labels), CASES[name, labels], dtype, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("name", "labels"), both_labels(*MARGINS))
def test_orthohash_has_the_published_loss_and_gradient(name, labels, dtype, tolerance):
    framework = OrthoHash(16, 4, 10, OrthoHashOptions(centers="bernoulli", margin_of=MARGINS[name])).to(dtype)
    framework.centers.copy_(torch.tensor(CASES[name, labels]["state"]["codebook"]))
    assert_golden(framework, CASES[name, labels], dtype, tolerance)


def test_all_published_cases_are_covered():
    found = [name for name, _ in CASES if name.startswith(("GreedyHash", "DPN", "OrthoHash"))]
    assert len(found) == 8 + 6 + 4


@pytest.mark.parametrize("classes", [4, 20, 32, 40])
def test_redrawn_centers_are_the_published_ones_at_the_published_seed(classes):
    case = CASES[f"CSQ_centres_16bits_{classes}classes", "-"]
    centers = draw_centers("redrawn", classes, 16, seed=case["config"]["random_seed"])
    assert torch.equal(centers, torch.tensor(case["state"]["hash_targets"]))


def test_balanced_centers_are_the_published_ones_at_the_published_seed():
    expected = torch.tensor(CASES["DPN_deephash", "single"]["state"]["target_vectors"])
    assert torch.equal(draw_centers("balanced", 4, 16, seed=0), expected)
