"""Models of a server: loaded once, kept, and only those that made the index."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from vtsearch.encoding import Encoder
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model
from vtsearch.serve.encoders import QueryEncoder, SharedEncoders
from vtsearch.serve.errors import Refused


def model_folder(path, seed):
    torch.manual_seed(seed)
    save_model(build_model(ModelConfig(backbone="test_vit", bits=16, image_size=32, pretrained=False)), path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    return model_folder(tmp_path / "model", 0)


@pytest.fixture
def index(tmp_path, folder):
    with Index.create(tmp_path / "index", 16, fingerprints=Encoder(folder).fingerprints) as index:
        yield index


def pixels():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_indexes_of_one_model_share_it(index, folder):
    shared = SharedEncoders()
    one, other = (QueryEncoder(index, folder, shared) for _ in range(2))
    assert one.exists
    assert one.load() is other.load()
    np.testing.assert_array_equal(one.code(pixels()), Encoder(folder).encode([pixels()])[0])


def test_a_loaded_model_outlives_its_folder(index, folder):
    encoder = QueryEncoder(index, folder, SharedEncoders())
    code = encoder.code(pixels())
    shutil.rmtree(folder)
    np.testing.assert_array_equal(encoder.code(pixels()), code)


def test_no_model_and_another_model(index, folder, tmp_path):
    for missing in (None, str(tmp_path / "nowhere")):
        encoder = QueryEncoder(index, missing, SharedEncoders())
        assert not encoder.exists
        with pytest.raises(Refused, match=r"image: no model for .*index; start the server with --model FOLDER"):
            encoder.load()
    other = QueryEncoder(index, model_folder(tmp_path / "other", 1), SharedEncoders())
    for _ in range(2):
        with pytest.raises((VtsearchError, ValueError), match="fingerprints: "):
            other.load()
