from __future__ import annotations

import numpy as np
import pytest
import torch
from random_batches import BITS, CLASSES, ITEMS
from scipy.special import expit

from vtsearch.frameworks.crovca import CroVCA, CroVCAOptions


def build(**options):
    return CroVCA(BITS, CLASSES, ITEMS, CroVCAOptions(**options)).double()


def batch(seed, images=5):
    """Features of both views, float64 (2 * images, 12), labels and positions."""
    random = np.random.default_rng(seed)
    labels = torch.from_numpy(random.integers(CLASSES, size=images)).repeat(2)
    features = random.normal(scale=1.5, size=(2 * images, BITS))
    return torch.from_numpy(features), labels, torch.arange(images).repeat(2)


def alignment(features):
    """Bit by bit, the surprise of a view at the code of the other one."""
    losses = []
    count = len(features)
    for image, view in enumerate(features):
        for bit, other in zip(view, features[(image + count // 2) % count], strict=True):
            probability = expit(bit)
            losses.append(-np.log(probability if other >= 0 else 1 - probability))
    return np.mean(losses)


def coding_rate(view, epsilon):
    """By the eigenvalues of the features' products, image by image instead of bit by bit."""
    count, bits = view.shape
    directions = view / np.linalg.norm(view, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(directions @ directions.T)
    return (1 / bits + 1 / count) * np.log1p(bits / (count * epsilon) * values).sum() / 2


@pytest.mark.parametrize("images", [1, 5, 40])
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_published_one(seed, images):
    features, labels, positions = batch(seed, images)
    loss = build(rate=0.3, epsilon=0.2)(features, labels, positions)
    rates = [coding_rate(view, 0.2) for view in np.split(features.numpy(), 2)]
    assert loss.item() == pytest.approx(alignment(features.numpy()) - 0.3 * np.mean(rates), rel=1e-12)


def test_the_other_views_code_has_no_gradient():
    features, labels, positions = batch(1)
    build(rate=0.0)(features.requires_grad_(), labels, positions).backward()
    others = np.roll(features.detach().numpy(), 5, axis=0) >= 0
    expected = (expit(features.detach().numpy()) - others) / features.numel()
    np.testing.assert_allclose(features.grad.numpy(), expected, rtol=1e-12)


def test_no_label_changes_the_loss():
    features, labels, positions = batch(0)
    framework = build()
    assert not framework.is_supervised
    assert len({framework(features, each, positions).item() for each in (labels, labels.roll(1), 0 * labels)}) == 1


def test_views_with_one_code_cost_less_and_images_with_one_code_more():
    features, labels, positions = batch(0)
    framework, first = build(), features[:5]
    alike, swapped = torch.cat([first, first]), torch.cat([first, first.roll(1, 0)])
    assert framework(alike, labels, positions) < framework(swapped, labels, positions)
    signs = torch.where(first >= 0, 9.0, -9.0).double()  # as aligned as they can be
    collapsed = signs[:1].expand(10, -1)
    assert framework(torch.cat([signs, signs]), labels, positions) < framework(collapsed, labels, positions)


def test_features_of_zero_are_a_loss_and_a_gradient():
    features, labels, positions = torch.zeros(10, BITS, requires_grad=True), *batch(0)[1:]
    loss = build().float()(features, labels, positions)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    assert features.grad.isfinite().all()


def test_rows_that_are_no_two_views_are_refused():
    features, labels, positions = batch(0)
    with pytest.raises(ValueError, match="features: expected 2 views of each image, got 9 rows"):
        build()(features[:9], labels[:9], positions[:9])


def test_options_are_checked_and_published_ones_are_the_authors():
    assert CroVCAOptions.published() == CroVCAOptions(rate=0.1, epsilon=0.05)
    with pytest.raises(ValueError, match="epsilon: expected a number above 0, got 0"):
        CroVCAOptions(epsilon=0)
    with pytest.raises(ValueError, match="rate: expected at least 0, got -1"):
        CroVCAOptions(rate=-1)
