"""Each bit has a threshold of its own where a run's model is evaluated and written; training knows nothing of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from alike_runs import assert_alike

from vtsearch.data import open_dataset
from vtsearch.encoding.encoder import Encoder
from vtsearch.index import Index
from vtsearch.models import load_model
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.config import ScheduleConfig
from vtsearch.training.loop import train
from vtsearch.training.thresholds import spread_thresholds


def test_thresholds_are_spread_evenly_in_an_order_of_the_seed():
    first, again, other = (spread_thresholds(9, 2.0, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    np.testing.assert_allclose(first.sort().values, np.linspace(-2, 2, 9), atol=1e-6)


@pytest.mark.usefixtures("_without_figures")
@pytest.mark.parametrize(
    ("changes", "bias"),
    [
        ({"head": "tokens"}, ["head.outer.bias"]),
        ({"head": "cls", "head_norm": "batch"}, ["head.1.bias"]),
        ({"head": "dual"}, ["head.outer.bias", "head.outer_local.bias"]),
    ],
)
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_model_differs_by_its_thresholds_alone(tiny_config, tmp_path, changes, bias, ema):
    model = replace(tiny_config.model, hidden=32 if changes["head"] == "tokens" else 1024, **changes)
    config = replace(tiny_config, model=model, ema=ema, baselines=False, evaluate_every=1)
    for name, thresholds in (("without", 0.0), ("with", 0.8)):
        train(replace(config, thresholds=thresholds), tmp_path / name)
    last = [load_state(tmp_path / name / files.LAST) for name in ("without", "with")]
    for part in ("model", "average") if ema else ("model",):
        assert all(torch.equal(last[0][part][name], last[1][part][name]) for name in last[0][part])
    plain, moved = (load_model(tmp_path / name / files.FINAL) for name in ("without", "with"))
    states = plain.state_dict(), moved.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0] if name not in bias)
    data = open_dataset("digits")
    features = Encoder(plain, precision="fp32").features(data.source, data.split.train)
    shifts = torch.cat([states[0][name] - states[1][name] for name in bias])
    expected = spread_thresholds(12, 0.8 * np.abs(features).mean(), config.seed)
    np.testing.assert_allclose(shifts, expected, atol=1e-5)
    codes = Encoder(moved, precision="fp32").encode(data.source, data.split.query)
    with Index.open(tmp_path / "with" / files.CODES / "query") as written:
        np.testing.assert_array_equal(written.codes(), codes)


@pytest.mark.usefixtures("_without_figures")
def test_a_run_goes_on_with_the_weights_that_it_had_before_an_evaluation(tiny_config, tmp_path):
    constant = ScheduleConfig(name="constant")
    config = replace(tiny_config, baselines=False, thresholds=0.8, schedule=constant, evaluate_every=1)
    train(config, tmp_path / "longer")
    train(replace(config, epochs=1), tmp_path / "begun")
    train(config, tmp_path / "begun", resume=True)
    assert_alike(tmp_path / "longer", tmp_path / "begun")
