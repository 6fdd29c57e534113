from __future__ import annotations

import numpy as np
import pytest
import torch
from random_batches import BITS, CLASSES, ITEMS
from scipy.special import expit, log_softmax, xlogy

from vtsearch.frameworks.cibhash import CIBHash, CIBHashOptions


def build(**options):
    return CIBHash(BITS, CLASSES, ITEMS, CIBHashOptions(**options)).double()


def batch(seed, images=5):
    """Features of both views, float64 (2 * images, 12), labels and positions."""
    random = np.random.default_rng(seed)
    features = random.normal(scale=1.5, size=(2 * images, BITS))
    labels = torch.from_numpy(random.integers(CLASSES, size=images)).repeat(2)
    return torch.from_numpy(features), labels, torch.arange(images).repeat(2)


def cosine(one, other):
    return one @ other / (np.linalg.norm(one) * np.linalg.norm(other))


def contrast(codes, temperature):
    """The paper's equation, view by view: the other view against all others but itself."""
    count, losses = len(codes), []
    for i in range(count):
        others = [j for j in range(count) if j != i]
        scores = log_softmax([cosine(codes[i], codes[j]) / temperature for j in others])
        losses.append(-scores[others.index((i + count // 2) % count)])
    return np.mean(losses)


def divergence(p, q):
    """Of each image, summed over its bits."""
    return (xlogy(p, p / q) + xlogy(1 - p, (1 - p) / (1 - q))).sum(axis=1)


def reference(features, limits, temperature, beta):
    """The loss with codes that are +1 where the probability is above a limit."""
    probabilities = expit(features)
    first, second = np.split(probabilities, 2)
    both = (divergence(first, second) + divergence(second, first)) / 2
    return contrast(np.where(probabilities > limits, 1.0, -1.0), temperature) + beta * both.mean()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("codes", ["drawn", "rounded"])
def test_the_loss_is_the_papers(codes, seed):
    features, labels, positions = batch(seed)
    torch.manual_seed(seed)
    limits = torch.rand_like(features).numpy() if codes == "drawn" else 0.5
    torch.manual_seed(seed)
    loss = build(temperature=0.4, beta=0.3, codes=codes)(features, labels, positions)
    assert loss.item() == pytest.approx(reference(features.numpy(), limits, 0.4, 0.3), rel=1e-12)


def slopes(function, values, step=1e-6):
    """The derivative of a function by each value, by central differences."""
    found = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        moved = [values.copy(), values.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        found[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return found


def test_the_gradient_passes_to_the_probabilities_and_not_to_the_other_view():
    features, labels, positions = batch(4, images=3)
    values = features.numpy().copy()
    build(temperature=0.4, beta=0.3, codes="rounded")(features.requires_grad_(), labels, positions).backward()
    probabilities = expit(values)
    by_codes = slopes(lambda codes: contrast(codes, 0.4), np.sign(values))
    other = np.concatenate(np.split(probabilities, 2)[::-1])  # of the other view, which has no gradient
    by_features = slopes(lambda logits: 0.3 * divergence(expit(logits), other).sum() / 3 / 2, values)
    expected = by_codes * probabilities * (1 - probabilities) + by_features
    np.testing.assert_allclose(features.grad.numpy(), expected, rtol=1e-5, atol=1e-8)


def test_bits_are_drawn_with_their_probabilities():
    framework = build()
    features = torch.full((2000, BITS), 1.5, dtype=torch.float64)
    torch.manual_seed(0)
    codes = framework._codes(features)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert (codes > 0).double().mean().item() == pytest.approx(expit(1.5), abs=0.01)


def test_no_label_changes_the_loss():
    features, labels, positions = batch(0)
    framework = build(codes="rounded")
    assert not framework.is_supervised
    assert len({framework(features, each, positions).item() for each in (labels, labels.roll(1), 0 * labels)}) == 1


def test_views_that_find_each_other_cost_less():
    features, labels, positions = batch(0)
    framework, first = build(codes="rounded"), features[:5]
    alike, swapped = torch.cat([first, first]), torch.cat([first, first.roll(1, 0)])
    assert framework(alike, labels, positions) < framework(swapped, labels, positions)


def test_rows_that_are_no_two_views_are_refused():
    features, labels, positions = batch(0)
    with pytest.raises(ValueError, match="features: expected 2 views of each image, got 9 rows"):
        build()(features[:9], labels[:9], positions[:9])


def test_options_are_checked_and_published_ones_are_the_authors():
    assert CIBHashOptions.published() == CIBHashOptions(temperature=0.3, beta=0.001, codes="rounded")
    with pytest.raises(ValueError, match="temperature: expected a number above 0, got 0"):
        CIBHashOptions(temperature=0)
    with pytest.raises(ValueError, match="beta: expected at least 0, got -1"):
        CIBHashOptions(beta=-1)
