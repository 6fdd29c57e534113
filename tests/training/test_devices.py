from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vtsearch.models import load_model
from vtsearch.training import run_folder as files
from vtsearch.training import setup
from vtsearch.training.checkpoint import load_state
from vtsearch.training.devices import accelerator_for, matrix_products
from vtsearch.training.loop import Run, train


def test_float32_is_computed_as_before_after_a_training_step():
    before = torch.get_float32_matmul_precision()
    with matrix_products(tf32=True):
        assert torch.get_float32_matmul_precision() == "high"
    with matrix_products(tf32=False):
        assert torch.get_float32_matmul_precision() == before
    assert torch.get_float32_matmul_precision() == before


def scaling(precision):
    """An accelerator that scales gradients, as it does in fp16 on a GPU."""
    accelerator = accelerator_for(precision)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    return accelerator


@pytest.mark.slow
def test_the_scale_of_gradients_is_continued(tiny_config, tmp_path, monkeypatch):
    config = replace(tiny_config, epochs=1, checkpoint_steps=4, baselines=False)
    config = replace(config, optimizer=replace(config.optimizer, clip=0.0))
    plain, whole, stopped = tmp_path / "plain", tmp_path / "whole", tmp_path / "stopped"
    train(config, plain)
    monkeypatch.setattr(setup, "accelerator_for", scaling)
    train(config, whole)
    with monkeypatch.context() as patched:
        patched.setattr(Run, "_log_step", interrupt_after_four)
        with pytest.raises(KeyboardInterrupt):
            train(config, stopped)
    assert load_state(stopped / files.LAST)["scaler"]["scale"] == 2048.0
    train(config, stopped, resume=True)
    assert load_state(whole / files.LAST)["scaler"] == load_state(stopped / files.LAST)["scaler"]
    prints = [load_model(run / files.FINAL).fingerprint() for run in (plain, whole, stopped)]
    assert prints[1] == prints[2]
    assert prints[0] == prints[1]  # powers of two change no digit


def interrupt_after_four(run, loss):
    if run.state.step == 6:
        raise KeyboardInterrupt
