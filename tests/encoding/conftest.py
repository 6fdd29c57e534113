"""A Vision Transformer of 0.3 million parameters with codes of 12 bits, and images to encode."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from vtsearch.models import ModelConfig, build_model


@pytest.fixture
def tiny_model():
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone="test_vit", bits=12, image_size=32, pretrained=False))


@pytest.fixture
def photos(tmp_path):
    """A folder of 50 images without classes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(50):
        pixels = draw.integers(0, 255, (20 + number % 7, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder
