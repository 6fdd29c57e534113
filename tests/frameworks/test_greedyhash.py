from __future__ import annotations

import numpy as np
import pytest
import torch
from random_batches import (
    BITS,
    CLASSES,
    ITEMS,
    KINDS,
    assert_finite_at_extremes,
    assert_halves_average_to_the_whole,
    loss_and_gradient,
    random_batch,
)

from vtsearch.frameworks.greedyhash import GreedyHash, GreedyHashOptions, straight_through_sign


def build(**options):
    return GreedyHash(BITS, CLASSES, ITEMS, GreedyHashOptions(**options)).double()


def reference(features, labels, weights, alpha):
    """Loss and straight-through gradient, item by item, by the paper's formulas."""
    total, gradient = 0.0, np.zeros_like(features)
    for i, feature in enumerate(features):
        code = np.array([1.0 if value > 0 else -1.0 for value in feature])
        scores = np.exp(weights @ code)
        probabilities = scores / scores.sum()
        own = np.flatnonzero(labels[i])
        total -= sum(np.log(probabilities[c]) for c in own) / max(len(own), 1) / len(features)
        target = labels[i] / max(len(own), 1)
        gradient[i] = weights.T @ (target.sum() * probabilities - target) / len(features)
    excess = np.abs(features) - 1
    total += alpha * np.mean(np.abs(excess) ** 3)
    gradient += alpha * 3 * excess**2 * np.sign(excess) * np.sign(features) / features.size
    return total, gradient


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_are_the_papers(kind, seed):
    framework = build(alpha=0.7)
    features, labels, positions = random_batch(kind, seed)
    features[0, 0] = 0.0
    loss, gradient = loss_and_gradient(framework, features, labels, positions)
    expected = reference(features.numpy(), labels.numpy(), framework.classifier.detach().numpy(), 0.7)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-15)


def test_smoothing_spreads_a_share_of_the_target_over_all_classes():
    framework = build(alpha=0.0, smoothing=0.3)
    features, labels, positions = random_batch("single", 0)
    scores = np.where(features.numpy() > 0, 1, -1) @ framework.classifier.detach().numpy().T
    likelihoods = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    targets = 0.7 * labels.numpy() + 0.3 / CLASSES
    expected = -(targets * likelihoods).sum(axis=1).mean()
    assert framework(features, labels, positions).item() == pytest.approx(expected, rel=1e-12)


def test_the_sign_has_two_values_and_the_derivative_of_the_identity():
    features = torch.tensor([-3e8, -0.3, -0.0, 0.0, 0.1, 7e30], requires_grad=True)
    signs = straight_through_sign(features)
    assert signs.tolist() == [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0]
    (signs * torch.arange(6)).sum().backward()
    assert features.grad.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_classifiers_gradient_is_that_of_finite_differences():
    framework = build()
    batch = random_batch("some without", 0)

    def loss(weights):
        return torch.func.functional_call(framework, {"classifier": weights}, batch)

    assert torch.autograd.gradcheck(loss, framework.classifier.detach().clone().requires_grad_(), atol=1e-7)


def test_the_first_class_alone_counts_as_published():
    features, labels, positions = random_batch("multi", 0)
    first = torch.eye(CLASSES, dtype=torch.float64)[labels.argmax(dim=1)]
    assert not torch.equal(first, labels)
    published, correct = build(multi_label="first"), build()
    assert published(features, labels, positions) == correct(features, first, positions)
    assert published(features, labels, positions) != correct(features, labels, positions)


def test_a_frozen_classifier_is_saved_but_not_trained():
    frozen, trained = build(classifier="frozen"), build()
    assert [name for name, _ in trained.named_parameters()] == ["classifier"]
    assert not list(frozen.parameters())
    assert torch.equal(frozen.state_dict()["classifier"], trained.state_dict()["classifier"])
    assert frozen.classifier.abs().max() <= BITS**-0.5


def test_the_classifier_comes_from_the_seed():
    drawn = [GreedyHash(8, 3, 4, seed=seed).classifier for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_are_one(kind):
    assert_halves_average_to_the_whole(build(), kind)


def test_extreme_features_stay_finite():
    assert_finite_at_extremes(build().float())


def test_the_published_options():
    assert GreedyHashOptions.published() == GreedyHashOptions(alpha=0.1, classifier="frozen", multi_label="first")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, "alpha: expected at least 0, got -1.0"),
        ({"smoothing": 1}, "smoothing: expected a number below 1, got 1"),
        ({"classifier": "fixed"}, "classifier: expected one of trained, frozen, got 'fixed'"),
        ({"multi_label": "all"}, "multi_label: expected one of shared, first, got 'all'"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GreedyHashOptions(**options)
