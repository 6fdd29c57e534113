from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference

from vtsearch.frameworks.dch import DCH, DCHOptions


def distance(u, v):
    return BITS / 2 * (1 - u @ v / np.linalg.norm(u) / np.linalg.norm(v))


def cauchy(pairs, gamma):
    """Equations 2 and 8 over given pairs: each kind weighs by all pairs over its own."""
    similar = [bool((y * z).any()) for _, y, _, z in pairs]
    weights = {kind: len(pairs) / similar.count(kind) if similar.count(kind) else 0 for kind in (True, False)}
    losses = []
    for (u, _, v, _), kind in zip(pairs, similar, strict=True):
        d = distance(u, v) + 1e-3
        losses.append(weights[kind] * (kind * np.log(d / gamma) + np.log(1 + gamma / d)))
    return np.mean(losses)


def quantization(features, gamma):
    to_corner = [distance(np.abs(u), np.ones(BITS)) + 1e-3 for u in features]
    return np.mean(np.log1p(np.array(to_corner) / gamma))


@pytest.mark.parametrize(("kind", "seed"), KINDS)
@pytest.mark.parametrize("gamma", [20.0, 1.5])
def test_the_loss_is_the_papers(kind, seed, gamma):
    def reference(features, rows, _):
        pairs = [(features[i], rows[i], features[j], rows[j]) for i in range(5) for j in range(5) if i != j]
        return cauchy(pairs, gamma) + 0.1 * quantization(features, gamma)

    assert_like_reference(DCH(BITS, CLASSES, IMAGES, DCHOptions(gamma=gamma)), reference, kind, seed)


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_bank_is_a_choice_too(kind, seed):
    def reference(features, _, pairs):
        return cauchy(pairs, 20.0) + 0.1 * quantization(features, 20.0)

    assert_like_reference(DCH(BITS, CLASSES, IMAGES, DCHOptions(pairs="bank")), reference, kind, seed)


@pytest.mark.parametrize(("form", "pushed"), [("cosine", True), ("clamped", False)])
def test_close_images_without_a_shared_label_are_pushed_apart(form, pushed):
    features = torch.ones(2, BITS)
    features[1, 0] = 1.1
    features.requires_grad_()
    options = DCHOptions(distance=form, quantization=0.0)
    DCH(BITS, CLASSES, IMAGES, options)(features, torch.tensor([0, 1]), torch.arange(2)).backward()
    assert bool(features.grad.abs().sum() > 0.01) == pushed


def test_equal_images_without_a_shared_label_have_a_finite_loss():
    features = torch.ones(2, BITS, requires_grad=True)
    loss = DCH(BITS, CLASSES, IMAGES)(features, torch.tensor([0, 1]), torch.arange(2))
    loss.backward()
    assert loss.item() == pytest.approx(np.log1p(20 / 1e-3) + 0.1 * np.log1p(1e-3 / 20), rel=1e-3)
    assert features.grad.isfinite().all()


def test_gamma_of_zero_is_refused():
    with pytest.raises(ValueError, match="gamma: expected a number above 0, got 0"):
        DCHOptions(gamma=0)
