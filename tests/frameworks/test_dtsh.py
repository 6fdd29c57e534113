from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_losses import CASES, PRECISIONS, assert_golden, both_labels
from random_batches import BITS, CLASSES, ITEMS, KINDS, assert_finite_at_extremes, random_batch

from vtsearch.frameworks.dtsh import DTSH, DTSHOptions


def build(**options):
    return DTSH(BITS, CLASSES, ITEMS, DTSHOptions(**options)).double()


def reference(features, labels, options):
    """The paper's loss, triplet by triplet."""
    per_image = []
    for i, feature in enumerate(features):
        similar = labels @ labels[i] > 0
        gaps = [
            options.scale * (feature @ features[p] - feature @ features[n]) - options.margin
            for p in np.flatnonzero(similar)
            for n in np.flatnonzero(~similar)
            if p != i
        ]
        if gaps:
            per_image.append(np.mean(np.log(1 + np.exp(-np.array(gaps)))))
    quantization = np.mean((features - np.where(features >= 0, 1, -1)) ** 2)
    return (np.mean(per_image) if per_image else 0.0) + options.quantization * quantization


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("name", "labels"), both_labels("DTSH_deephash"))
def test_it_has_the_published_loss_and_gradient(name, labels, dtype, tolerance):
    assert_golden(DTSH(16, 4, 10, DTSHOptions.published()), CASES[name, labels], dtype, tolerance)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_papers(kind, seed):
    framework = build(margin=2.0, quantization=0.3)
    features, labels, positions = random_batch(kind, seed)
    expected = reference(features.numpy(), labels.numpy(), framework.options)
    assert framework(features, labels, positions).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("options", [DTSHOptions(), DTSHOptions.published()])
def test_the_gradient_is_that_of_finite_differences(options):
    framework = DTSH(BITS, CLASSES, ITEMS, options).double()
    features, labels, positions = random_batch("some without", 2)
    assert torch.autograd.gradcheck(
        lambda values: framework(values, labels, positions), features.requires_grad_(), atol=1e-7
    )


@pytest.mark.parametrize("labels", [torch.ones(4, CLASSES), torch.zeros(4, CLASSES), torch.eye(CLASSES)[:4]])
def test_without_any_triplet_the_quantization_is_left(labels):
    features = random_batch("single", 0)[0][:4]
    loss = build(quantization=0.5)(features, labels, torch.arange(4))
    assert loss.item() == pytest.approx(0.5 * (features.abs() - 1).square().mean().item())


def test_a_triplet_that_is_very_wrong_has_no_gradient_as_published():
    features = torch.full((3, BITS), 10.0, dtype=torch.float64)
    features[1] = -10  # shares its label with the first image and lies opposite
    features[2] = 0  # does not, and is nearer to both
    labels = torch.eye(CLASSES)[[0, 0, 1]]
    for products, moves in (("exact", True), ("clamped", False)):
        values = features.clone().requires_grad_()
        build(quantization=0.0, products=products)(values, labels, torch.arange(3)).backward()
        assert values.grad.any() == moves


def test_extreme_features_stay_finite():
    assert_finite_at_extremes(build().float())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": -1.0}, "margin: expected at least 0, got -1.0"),
        ({"scale": 0.0}, "scale: expected a number above 0, got 0.0"),
        ({"quantization": -1.0}, "quantization: expected at least 0, got -1.0"),
        ({"positives": "some"}, "positives: expected one of others, all, got 'some'"),
        ({"products": "cut"}, "products: expected one of exact, clamped, got 'cut'"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DTSHOptions(**options)
