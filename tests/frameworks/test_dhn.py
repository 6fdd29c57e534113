from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference, likelihood

from vtsearch.frameworks.dhn import DHN, DHNOptions, log_cosh


def reference(features, _, pairs):
    losses = [likelihood(u @ v / 2, (y * z).any()) for u, y, v, z in pairs]
    return np.mean(losses) + 0.1 * np.log(np.cosh(np.abs(features) - 1)).mean()


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_loss_is_the_papers(kind, seed):
    assert_like_reference(DHN(BITS, CLASSES, IMAGES), reference, kind, seed)


def balanced_cosines(features, _, pairs):
    similar = np.array([(y * z).any() for _, y, _, z in pairs])
    cosines = [u @ v / np.sqrt((u @ u) * (v @ v)) for u, _, v, _ in pairs]
    losses = np.array([likelihood(10 * cosine, kind) for cosine, kind in zip(cosines, similar, strict=True)])
    means = [losses[chosen].mean() for chosen in (similar, ~similar) if chosen.any()]
    return sum(means) + 0.3 * np.log(np.cosh(np.abs(np.tanh(features)) - 1)).mean()


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_cosines_with_balanced_pairs(kind, seed):
    options = DHNOptions(product="cosine", weights="balanced", quantization=0.3)
    assert_like_reference(DHN(BITS, CLASSES, IMAGES, options), balanced_cosines, kind, seed, np.tanh)


def test_log_cosh_does_not_overflow():
    values = torch.tensor([-1e30, -3.0, 0.0, 0.5, 1e4])
    expected = [1e30, np.log(np.cosh(3.0)), 0.0, np.log(np.cosh(0.5)), 1e4 - np.log(2)]
    np.testing.assert_allclose(log_cosh(values), expected, rtol=1e-6, atol=1e-7)
