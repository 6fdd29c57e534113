from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference

from vtsearch.frameworks.dsh import DSH, DSHOptions


def reference(features, _, pairs, margin=2 * BITS, weight=0.1):
    losses = []
    for u, y, v, z in pairs:
        distance = ((u - v) ** 2).sum()
        losses.append(distance / 2 if (y * z).any() else max(margin - distance, 0) / 2)
    return np.mean(losses) + weight * np.abs(np.abs(features) - 1).mean()


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_loss_is_the_papers(kind, seed):
    assert_like_reference(DSH(BITS, CLASSES, IMAGES), reference, kind, seed)


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_margin_and_sum_over_bits(kind, seed):
    framework = DSH(BITS, CLASSES, IMAGES, DSHOptions(margin=3.5, quantization=0.01, reduction="sum"))
    assert_like_reference(
        framework, lambda *given: reference(*given, margin=3.5 * BITS, weight=0.01 * BITS), kind, seed
    )


def gradient(features, options):
    features.requires_grad_()
    DSH(8, 2, 4, options)(features, torch.tensor([0, 1, 0, 1]), torch.arange(4)).backward()
    return features.grad


def test_the_published_regularizer_has_no_gradient():
    features = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    heavy = DSHOptions(quantization=5.0, regularizer="published")
    none = DSHOptions(quantization=0.0)
    assert torch.equal(gradient(features.clone(), heavy), gradient(features.clone(), none))
    absolute = gradient(features.clone(), DSHOptions(quantization=5.0))
    assert not torch.equal(absolute, gradient(features.clone(), none))


def test_close_points_far_from_the_origin_keep_their_distance_in_float32():
    near = torch.full((2, 64), 1000.0)
    near[1] += 0.5  # exact in float32; |u|^2 = 6.4e7 is only known to 4
    loss = DSH(64, 1, 2, DSHOptions(pairs="distinct", quantization=0.0))(near, torch.tensor([0, 0]), torch.arange(2))
    assert loss.item() == pytest.approx(64 * 0.25 / 2, rel=1e-6)
