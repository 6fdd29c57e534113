from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from center_distances import minimum_distance
from random_batches import (
    BITS,
    CLASSES,
    ITEMS,
    KINDS,
    assert_finite_at_extremes,
    assert_halves_average_to_the_whole,
    random_batch,
)

from vtsearch.frameworks.orthohash import OrthoHash, OrthoHashOptions, turned_away


def build(**options):
    return OrthoHash(BITS, CLASSES, ITEMS, OrthoHashOptions(**options)).double()


def reference(features, labels, framework):
    """The paper's loss, item by item."""
    total, options, centers = 0.0, framework.options, framework.centers.numpy()
    scale, margin = options.scale, options.margin
    for feature, row in zip(features, labels, strict=True):
        own = np.flatnonzero(row)
        cosines = [feature @ center / np.linalg.norm(feature) / np.linalg.norm(center) for center in centers]
        for c in own:
            cosines[c] = (
                cosines[c] - margin if options.margin_of == "cosine" else np.cos(np.arccos(cosines[c]) + margin)
            )
        scores = scale * np.array(cosines)
        total -= sum(scores[c] - np.log(np.exp(scores).sum()) for c in own) / max(len(own), 1)
    return total / len(features)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("margin_of", ["cosine", "angle"])
def test_the_loss_is_the_papers(margin_of, kind, seed):
    framework = build(scale=6.0, margin=0.3, margin_of=margin_of)
    features, labels, positions = random_batch(kind, seed)
    expected = reference(features.numpy(), labels.numpy(), framework)
    assert framework(features, labels, positions).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("margin_of", ["cosine", "angle"])
def test_the_gradient_is_that_of_finite_differences(margin_of):
    framework = build(margin_of=margin_of)
    features, labels, positions = random_batch("some without", 2)
    assert torch.autograd.gradcheck(
        lambda values: framework(values, labels, positions), features.requires_grad_(), atol=1e-7
    )


def test_the_length_of_the_features_is_free():
    framework = build()
    features, labels, positions = random_batch("multi", 0)
    expected = framework(features, labels, positions).item()
    assert framework(1000 * features, labels, positions).item() == pytest.approx(expected, rel=1e-12)


def test_an_angle_turned_away_never_looks_better():
    angles = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    turned = turned_away(angles.cos(), 0.2)
    assert (turned.diff() < 1e-5).all()  # the root is cut off at the very ends
    plain = angles < math.pi - 0.2
    np.testing.assert_allclose(turned[plain][5:], (angles[plain] + 0.2).cos()[5:], rtol=0, atol=1e-12)


def test_our_codes_differ_and_the_authors_may_not():
    assert minimum_distance(OrthoHash(16, 100, 1).centers) == 6
    centers = [OrthoHash(8, 40, 1, OrthoHashOptions.published(), seed=seed).centers for seed in range(3)]
    assert all(len(codes.unique(dim=0)) < 40 for codes in centers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("margin_of", ["cosine", "angle"])
def test_two_processes_are_one(margin_of, kind):
    assert_halves_average_to_the_whole(build(margin_of=margin_of), kind)


@pytest.mark.parametrize("margin_of", ["cosine", "angle"])
def test_extreme_features_stay_finite(margin_of):
    assert_finite_at_extremes(build(margin_of=margin_of).float())


@pytest.mark.parametrize("sign", [1, -1])
def test_features_on_a_center_and_opposite_to_it_have_a_finite_gradient(sign):
    framework = build(margin_of="angle").float()
    features = (sign * framework.centers).clone().requires_grad_()
    framework(features, torch.eye(CLASSES), torch.arange(CLASSES)).backward()
    assert features.grad.isfinite().all()


def test_the_published_options():
    assert OrthoHashOptions.published() == OrthoHashOptions(scale=8, margin=0.2, centers="bernoulli")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale: expected a number above 0, got 0.0"),
        ({"margin": 4.0}, "margin: expected at most pi, got 4.0"),
        ({"margin": -1.0}, "margin: expected at least 0, got -1.0"),
        ({"margin_of": "arc"}, "margin_of: expected one of cosine, angle, got 'arc'"),
        ({"centers": "far"}, "centers: expected one of distant, redrawn, balanced, bernoulli, got 'far'"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        OrthoHashOptions(**options)
