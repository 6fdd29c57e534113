"""Two random batches after each other, and the pairs that they make, item by item: what references are written on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

BITS, CLASSES, IMAGES = 6, 4, 9
APART = torch.tensor([[0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]])
KINDS = [(kind, seed) for kind in ("single", "multi") for seed in range(3)]


def batches(kind, seed):
    """Features float64 (5, BITS), labels, positions; the second batch revisits some images of the first.

    Labels are class numbers if `kind` is "single", else rows of 0 and 1, the first of which has none; "apart" are rows
    in which no two classes always come together.
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(2):
        features = 1.5 * torch.randn(5, BITS, generator=random, dtype=torch.float64)
        labels = torch.randint(CLASSES, (5,), generator=random)
        if kind != "single":
            labels = torch.randint(2, (5, CLASSES), generator=random)
            labels[0] = 0
        if kind == "apart":
            labels = APART[torch.randperm(5, generator=random)]
        yield features, labels, torch.randperm(IMAGES, generator=random)[:5]


def rows_of(labels):
    """Labels as numpy rows of 0 and 1."""
    return (torch.nn.functional.one_hot(labels, CLASSES) if labels.ndim == 1 else labels).double().numpy()


def assert_like_reference(framework, reference, kind, seed, activation=lambda features: features):
    """Both steps give what `reference(features, rows, pairs)` does.

    `pairs` are (u, y, v, z) of every image of the batch with every image seen so far, u and v activated features and y
    and z rows of labels.
    """
    framework, seen = framework.double(), {}
    for features, labels, positions in batches(kind, seed):
        rows, activated = rows_of(labels), activation(features.numpy())
        seen.update(zip(positions.tolist(), zip(activated, rows, strict=True), strict=True))
        pairs = [(u, y, v, z) for u, y in zip(activated, rows, strict=True) for v, z in seen.values()]
        expected = reference(features.numpy(), rows, pairs)
        assert framework(features, labels, positions).item() == pytest.approx(expected, rel=1e-12)


def likelihood(logit, similar):
    """-log of the probability, under the logistic model, that a pair is as similar as it is."""
    return np.logaddexp(0, -logit if similar else logit)
