from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference, likelihood

from vtsearch.frameworks.dpsh import DPSH, DPSHOptions


def reference(features, _, pairs):
    losses = [likelihood(u @ v / 2, (y * z).any()) for u, y, v, z in pairs]
    return np.mean(losses) + 0.4 * ((features - np.sign(features)) ** 2).mean()


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_loss_is_the_papers(kind, seed):
    assert_like_reference(DPSH(BITS, CLASSES, IMAGES, DPSHOptions(quantization=0.4)), reference, kind, seed)


def test_features_of_zero_are_no_codes():
    framework = DPSH(BITS, CLASSES, IMAGES, DPSHOptions(quantization=1.0))
    loss = framework(torch.zeros(3, BITS), torch.zeros(3, CLASSES), torch.arange(3))
    assert loss.item() == pytest.approx(np.log(2) + 1)
