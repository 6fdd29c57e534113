"""The moving average of the weights, which is the model of a run that asks for it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.utils import DistributedType
from torch import nn

from vtsearch.models import load_model
from vtsearch.training import run_folder as files
from vtsearch.training import setup
from vtsearch.training.averaging import WeightAverage
from vtsearch.training.checkpoint import load_state
from vtsearch.training.loop import train


def test_an_average_keeps_a_share_of_what_it_was():
    trained, averaged = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    average, expected = WeightAverage(averaged, 0.6), np.ones(3)
    for step in range(30):
        value = torch.randn(3, generator=torch.Generator().manual_seed(step))
        with torch.no_grad():
            trained.weight.copy_(value)
        trained.running_mean.copy_(value)
        trained.num_batches_tracked.fill_(step)
        average.update(trained, step)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value.numpy()
        np.testing.assert_allclose(averaged.weight.numpy(), expected, atol=1e-6)
    assert averaged.num_batches_tracked == 29
    assert not averaged.weight.requires_grad
    assert trained.weight.requires_grad


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_average_is_what_is_evaluated_and_saved(tiny_config, tmp_path, ema):
    train(replace(tiny_config, baselines=False, ema=ema), tmp_path / "run")
    last = load_state(tmp_path / "run" / files.LAST)
    saved = load_model(tmp_path / "run" / files.FINAL).state_dict()
    of_last_step = all(torch.equal(tensor, last["model"][name]) for name, tensor in saved.items())
    assert of_last_step == (ema == 0)
    if ema:
        assert all(torch.equal(tensor, last["average"][name]) for name, tensor in saved.items())


def test_sharded_parameters_have_no_average(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "accelerator_for", lambda _: SimpleNamespace(distributed_type=DistributedType.FSDP))
    with pytest.raises(ValueError, match=r"ema: expected 0 where parameters are sharded over processes, got 0\.9"):
        train(replace(tiny_config, ema=0.9), tmp_path / "run")
    assert not (tmp_path / "run" / files.CONFIG).exists()
