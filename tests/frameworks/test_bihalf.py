from __future__ import annotations

import numpy as np
import pytest
import torch
from random_batches import BITS, CLASSES, ITEMS, random_batch

from vtsearch.frameworks.bihalf import BiHalf, BiHalfOptions, bi_half

WIDTH = 7
PAIRS = ["distinct", "matched"]


def build(**options):
    return BiHalf(BITS, CLASSES, ITEMS, BiHalfOptions(**options)).double()


def batch(seed, items=ITEMS):
    """Features (items, 12), labels, positions and inputs (items, 7), float64."""
    features, labels, positions = random_batch("multi", seed)
    inputs = torch.from_numpy(np.random.default_rng(seed + 100).normal(size=(ITEMS, WIDTH)))
    return tuple(part[:items] for part in (features, labels, positions, inputs))


def pairs_of(count, pairs):
    if pairs == "matched":
        return [(i, i + count // 2) for i in range(count // 2)]
    return [(i, j) for i in range(count) for j in range(count) if i != j]


def layer(features):
    """The codes: bit by bit, +1 for the half of the images with the larger features."""
    codes = -np.ones_like(features)
    for bit in range(features.shape[1]):
        codes[np.argsort(-features[:, bit])[: len(features) // 2], bit] = 1
    return codes


def cosine(one, other):
    return one @ other / (np.linalg.norm(one) * np.linalg.norm(other))


def reference(features, inputs, gamma, pairs):
    """Loss, and gradient by the features as the authors' layer has it, pair by pair."""
    codes, chosen = layer(features), pairs_of(len(features), pairs)
    loss, gradient = 0.0, np.zeros_like(features)
    for i, j in chosen:
        error = cosine(codes[i], codes[j]) - cosine(inputs[i], inputs[j])
        loss += error**2 / len(chosen)
        for one, other in ((i, j), (j, i)):
            slope = (codes[other] - cosine(codes[i], codes[j]) * codes[one]) / features.shape[1]  # |code|^2 = bits
            gradient[one] += 2 * error * slope / len(chosen)
    gradient += gamma * (features - codes) / codes.size
    return loss + gamma / 2 * ((features - codes) ** 2).mean(), gradient


@pytest.mark.parametrize("items", [8, 9])
@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_are_those_of_the_paper_and_its_layer(pairs, seed, items):
    features, labels, positions, inputs = batch(seed, items)
    expected, gradient = reference(features.numpy(), inputs.numpy(), 2.5, pairs)
    loss = build(gamma=2.5, pairs=pairs)(features.requires_grad_(), labels, positions, inputs)
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(features.grad.numpy(), gradient, rtol=1e-9, atol=1e-14)


def test_half_of_each_bit_is_set():
    features = torch.randn(11, 5, generator=torch.Generator().manual_seed(0))
    codes = bi_half(features)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert (codes > 0).sum(dim=0).tolist() == [5] * 5
    for bit in range(5):
        assert features[codes[:, bit] > 0, bit].min() > features[codes[:, bit] < 0, bit].max()
    assert bi_half(torch.zeros(4, 1))[:, 0].tolist() == [1, 1, -1, -1]


def test_no_label_changes_the_loss():
    features, labels, positions, inputs = batch(0)
    assert not BiHalf.is_supervised
    losses = {build()(features, each, positions, inputs).item() for each in (labels, labels.roll(1, 0), 0 * labels)}
    assert len(losses) == 1


def test_the_backbones_features_have_no_gradient():
    features, labels, positions, inputs = batch(0)
    inputs.requires_grad_()
    build()(features.requires_grad_(), labels, positions, inputs).backward()
    assert inputs.grad is None
    assert features.grad.any()


@pytest.mark.parametrize(
    ("inputs", "got"), [(None, "None"), (torch.zeros(8, WIDTH), r"\(8, 7\)"), (torch.zeros(9), r"\(9,\)")]
)
def test_the_backbones_features_are_asked_for(inputs, got):
    features, labels, positions, _ = batch(0)
    with pytest.raises(ValueError, match=rf"inputs: expected shape \(9, width\), got {got}"):
        build()(features, labels, positions, inputs)


@pytest.mark.parametrize("pairs", PAIRS)
def test_a_single_image_has_no_pairs(pairs):
    features, labels, positions, inputs = batch(0, items=1)
    expected = ((features + 1) ** 2).mean().item()  # of one image the larger half is none
    assert build(gamma=2, pairs=pairs)(features, labels, positions, inputs).item() == pytest.approx(expected)


def test_published_options_are_the_authors():
    assert BiHalfOptions.published() == BiHalfOptions(gamma=6.0, pairs="matched")
    with pytest.raises(ValueError, match="gamma: expected at least 0, got -1"):
        BiHalfOptions(gamma=-1)
