from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference, likelihood

from vtsearch.frameworks.dbdh import DBDH, DBDHOptions

FORMS = {"squared": np.square, "absolute": np.abs}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_loss_is_the_published_one(kind, seed, form):
    def reference(features, _, pairs):
        losses = [likelihood(np.clip(u, -1, 1) @ np.clip(v, -1, 1) / 2, (y * z).any()) for u, y, v, z in pairs]
        return np.mean(losses) + 0.7 * FORMS[form](np.clip(features, -1, 1).mean(axis=1)).mean()

    options = DBDHOptions(balance=0.7, balance_form=form)
    assert_like_reference(DBDH(BITS, CLASSES, IMAGES, options), reference, kind, seed)


def test_a_bit_beyond_one_has_no_gradient():
    features = torch.tensor([[2.0, 0.5, -3.0, -0.5]], requires_grad=True)
    DBDH(4, 2, 2)(features, torch.tensor([0]), torch.tensor([0])).backward()
    assert features.grad[0, [0, 2]].tolist() == [0, 0]
    assert (features.grad[0, [1, 3]] != 0).all()
