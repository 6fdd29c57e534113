from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference

from vtsearch.frameworks.idhn import IDHN, IDHNOptions


def softsign(features):
    return features / (1 + np.abs(features))


def reference(features, _, pairs, gamma=0.1, scale=5 / BITS):
    losses = []
    for u, y, v, z in pairs:
        shared = y @ z / np.sqrt(y.sum() * z.sum()) if y.any() and z.any() else 0.0
        if 1e-9 < shared < 1 - 1e-9:
            losses.append(gamma * BITS * ((u @ v + BITS) / (2 * BITS) - shared) ** 2)
        else:
            losses.append(np.logaddexp(0, scale * (u @ v)) - round(shared) * scale * (u @ v))
    return np.mean(losses) + 0.1 * np.abs(np.abs(softsign(features)) - 1).mean()


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_loss_is_the_authors(kind, seed):
    assert_like_reference(IDHN(BITS, CLASSES, IMAGES), reference, kind, seed, softsign)


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_soft_weight_and_the_scale_are_options(kind, seed):
    framework = IDHN(BITS, CLASSES, IMAGES, IDHNOptions(soft_weight=2.0, scale=0.7))
    assert_like_reference(framework, lambda *given: reference(*given, gamma=2.0, scale=0.7), kind, seed, softsign)


def loss_of_pair(product, options):
    """Of two images that share one of two labels each, s = 1/2, whose activated features have that product."""
    activated = torch.zeros(2, BITS, dtype=torch.float64)
    activated[:, 0], activated[0, 1], activated[1, 1] = 0.5, 0.9, (product - 0.25) / 0.9
    framework = IDHN(BITS, 3, 2, options).double()
    return framework(activated / (1 - activated.abs()), torch.tensor([[1, 1, 0], [1, 0, 1]]), torch.arange(2)).item()


@pytest.mark.parametrize("soft", ["similarity", "published"])
def test_a_soft_pair_is_at_its_best_where_its_product_is_its_similarity(soft):
    options = IDHNOptions(pairs="distinct", quantization=0.0, soft=soft, scale=1.0)
    assert loss_of_pair(0.0, options) == pytest.approx(0, abs=1e-12)  # bits * (2 s - 1)
    heavier = 4 * BITS if soft == "published" else 1
    assert loss_of_pair(0.6, options) == pytest.approx(heavier * 0.1 * 0.6**2 / (4 * BITS))
