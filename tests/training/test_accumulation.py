from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.loop import train
from vtsearch.training.metrics_log import read_metrics


def steps(folder):
    return [event for event in read_metrics(folder / files.METRICS) if event["event"] == "step"]


@pytest.mark.slow
def test_small_batches_of_a_step_are_one_large_batch(tiny_config, tmp_path):
    """A framework that compares no images, without dropout; the last step of an epoch has fewer and smaller batches."""
    config = replace(tiny_config, model=replace(tiny_config.model, dropout=0.0), log_every=1, baselines=False)
    one, many = tmp_path / "one", tmp_path / "many"
    train(replace(config, batch_size=120), one)
    train(replace(config, batch_size=30, accumulate=4), many)
    assert load_state(many / files.LAST)["state"]["step"] == 2 * 5
    assert [(e["step"], e["epoch"]) for e in steps(one)] == [(e["step"], e["epoch"]) for e in steps(many)]
    for name in ("loss", "lr"):
        np.testing.assert_allclose([e[name] for e in steps(many)], [e[name] for e in steps(one)], rtol=1e-5)


@pytest.mark.slow
def test_batches_of_a_step_have_a_dropout_of_their_own(tiny_config, tmp_path):
    config = replace(tiny_config, epochs=1, batch_size=250, log_every=1, baselines=False)
    seeds = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vtsearch.training.loop.set_seed", seeds.append)
        train(replace(config, accumulate=2), tmp_path / "one")
    assert len(set(seeds)) == len(seeds) == 2
