"""Random features and labels for tests of training objectives: one label each, several, and items with none."""

from __future__ import annotations

import numpy as np
import torch

BITS, CLASSES, ITEMS = 12, 5, 9
KINDS = ["single", "multi", "some without"]


def random_batch(kind, seed, spread=1.5):
    """Features (9, 12) float64, labels 0/1 (9, 5) float64, positions (9,) int64."""
    random = np.random.default_rng(seed)
    features = random.normal(scale=spread, size=(ITEMS, BITS))
    labels = np.eye(CLASSES)[random.integers(CLASSES, size=ITEMS)]
    if kind != "single":
        labels = np.maximum(labels, random.random((ITEMS, CLASSES)) < 0.4)
    if kind == "some without":
        labels[::3] = 0
    return torch.from_numpy(features), torch.from_numpy(labels), torch.arange(ITEMS)


def loss_and_gradient(framework, features, labels, positions):
    """A float, and (b, bits) float64."""
    features = features.clone().requires_grad_()
    loss = framework(features, labels, positions)
    loss.backward()
    return loss.item(), features.grad


def assert_halves_average_to_the_whole(framework, kind):
    """Two processes with equal shares of a batch, whose gradients are averaged, are one process with all of it."""
    features, labels, positions = (part[:8] for part in random_batch(kind, seed=5))
    loss, gradient = loss_and_gradient(framework, features, labels, positions)
    halves = [
        loss_and_gradient(framework, features[rows], labels[rows], positions[rows])
        for rows in ([0, 2, 4, 6], [1, 3, 5, 7])
    ]
    np.testing.assert_allclose(sum(half[0] for half in halves) / 2, loss, rtol=1e-12)
    both = torch.empty_like(gradient)
    both[0::2], both[1::2] = halves[0][1] / 2, halves[1][1] / 2
    np.testing.assert_allclose(both, gradient, rtol=1e-12, atol=1e-15)


def assert_finite_at_extremes(framework):
    """Features of +-10,000, and of 0, in float32: a finite loss with a finite gradient."""
    for features in (torch.full((4, BITS), 1e4), torch.full((4, BITS), -1e4), torch.zeros(4, BITS)):
        features[0, ::2] *= -1
        for labels in (torch.eye(CLASSES)[:4], torch.ones(4, CLASSES), torch.zeros(4, CLASSES)):
            values = features.clone().requires_grad_()
            loss = framework(values, labels, torch.arange(4))
            loss.backward()
            assert loss.isfinite()
            assert values.grad.isfinite().all()
