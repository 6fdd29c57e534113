from __future__ import annotations

import numpy as np
import pytest
import torch

from vtsearch import pack
from vtsearch.data import open_dataset
from vtsearch.encoding.encode import encode_positions


@pytest.fixture(scope="module")
def source():
    return open_dataset("digits").source


def test_codes_are_in_the_order_of_the_positions(tiny_model, source):
    codes = encode_positions(tiny_model, source, [5, 2, 9], precision="fp32")
    one_by_one = [encode_positions(tiny_model, source, [position], precision="fp32") for position in (5, 2, 9)]
    assert codes.dtype == np.uint8
    assert codes.shape == (3, 2)
    np.testing.assert_array_equal(codes, np.concatenate(one_by_one))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("n", [64, 65, 97])
def test_an_image_has_one_code_in_any_company(tiny_model, source, precision, n):
    everything = encode_positions(tiny_model, source, range(200), batch_size=32, precision=precision)
    some = encode_positions(tiny_model, source, range(n), batch_size=32, precision=precision)
    np.testing.assert_array_equal(some, everything[:n])


def test_codes_are_the_signs_of_the_features(tiny_model, source):
    tiny_model.eval()
    images = tiny_model.preprocessing.prepare(torch.from_numpy(source.pixels(np.arange(4))))
    with torch.inference_mode():
        features = tiny_model(images)
    np.testing.assert_array_equal(encode_positions(tiny_model, source, range(4), precision="fp32"), pack(features))


def test_the_mode_of_the_model_is_put_back(tiny_model, source):
    tiny_model.train()
    encode_positions(tiny_model, source, [0])
    assert tiny_model.training
    tiny_model.eval()
    encode_positions(tiny_model, source, [0])
    assert not tiny_model.training


def test_progress_counts_every_image_once(tiny_model, source):
    counted = []
    encode_positions(tiny_model, source, range(70), batch_size=32, progress=counted.append)
    assert counted == [32, 32, 6]


def test_nothing_is_drawn_from_the_generator_of_the_training(tiny_model, source):
    before = torch.get_rng_state()
    encode_positions(tiny_model, source, range(5))
    assert torch.equal(torch.get_rng_state(), before)


def test_no_positions_give_no_codes(tiny_model, source):
    assert encode_positions(tiny_model, source, []).shape == (0, 2)


def test_a_batch_of_nothing_is_refused(tiny_model, source):
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        encode_positions(tiny_model, source, [0], batch_size=0)


def test_positions_outside_the_source_are_refused(tiny_model, source):
    with pytest.raises(ValueError, match="positions: expected 0 to 1796"):
        encode_positions(tiny_model, source, [1797])
