"""A run that takes a second: a Vision Transformer of 0.3 million parameters on digits, one thread."""

from __future__ import annotations

import pytest
import torch

from vtsearch.models import ModelConfig, build_model
from vtsearch.reports import markdown
from vtsearch.training.config import OptimizerConfig, TrainConfig


@pytest.fixture(scope="session")
def tiny_model_config():
    return ModelConfig(backbone="test_vit", bits=12, image_size=32, pretrained=False, head="tokens", hidden=32)


@pytest.fixture(scope="session")
def tiny_config(tiny_model_config):
    return TrainConfig(
        model=tiny_model_config,
        protocol="digits",
        augment="none",
        optimizer=OptimizerConfig(lr=2e-3),
        epochs=2,
        precision="fp32",
        log_every=2,
    )


@pytest.fixture
def _without_figures(monkeypatch):
    """Reports without figures, which take longer than a tiny run."""
    monkeypatch.setattr(markdown, "_write_figures", lambda *_: [])


@pytest.fixture
def tiny_model(tiny_model_config):
    torch.manual_seed(0)
    return build_model(tiny_model_config)
