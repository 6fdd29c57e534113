"""The classification term beside a framework's loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from vtsearch.training.train_module import Classifier


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("multi_label", [False, True])
def test_the_term_is_a_weighted_cross_entropy(smoothing, multi_label):
    random = np.random.default_rng(0)
    columns = random.random((5, 4)) < 0.5 if multi_label else np.eye(4)[random.integers(0, 4, 5)]
    features = random.standard_normal((5, 8)).astype(np.float32)
    classifier = Classifier(8, 4, weight=0.3, smoothing=smoothing)
    weight, bias = (parameter.detach().numpy() for parameter in classifier.linear.parameters())
    shares = columns / np.maximum(columns.sum(axis=1, keepdims=True), 1)
    targets = (1 - smoothing) * shares + smoothing / 4
    expected = -0.3 * (targets * log_softmax(np.tanh(features) @ weight.T + bias, axis=1)).sum(axis=1).mean()
    labels = torch.from_numpy(columns.astype(np.float32) if multi_label else columns.argmax(axis=1))
    assert classifier(torch.from_numpy(features), labels).item() == pytest.approx(expected, rel=1e-5)
