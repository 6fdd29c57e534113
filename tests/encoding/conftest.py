"""A Vision Transformer of 0.3 million parameters with codes of 12 bits."""

from __future__ import annotations

import pytest
import torch

from vtsearch.models import ModelConfig, build_model


@pytest.fixture
def tiny_model():
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone="test_vit", bits=12, image_size=32, pretrained=False, hidden=32))
