"""The published code's own numbers: losses and gradients on tiny inputs, two consecutive steps of each case."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

GOLDEN = json.loads((Path(__file__).parent / "frameworks" / "losses_golden.json").read_text(encoding="utf-8"))
INPUTS = GOLDEN["inputs"]
CASES = {(case["name"], case["labels"]): case for case in GOLDEN["cases"]}
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


def both_labels(*names):
    """(name, labels) of the cases that there are."""
    return [(name, labels) for name in names for labels in ("single", "multi") if (name, labels) in CASES]


def assert_golden(framework, case, dtype, tolerance, steps=2):
    """The loss and its gradient by the features are the published ones, step after step on one framework."""
    framework = framework.to(dtype)
    for number, step in enumerate(case["steps"][:steps], start=1):
        features = torch.tensor(INPUTS[f"u_step{number}"], dtype=dtype, requires_grad=True)
        labels = torch.tensor(INPUTS[f"y_{case['labels']}_step{number}"])
        loss = framework(features, labels, torch.tensor(INPUTS[f"ind_step{number}"]))
        loss.backward()
        assert loss.dtype == dtype
        assert loss.item() == pytest.approx(step["loss"], rel=tolerance)
        np.testing.assert_allclose(features.grad, step["grad"], rtol=0, atol=tolerance)
