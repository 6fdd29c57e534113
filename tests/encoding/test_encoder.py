from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vtsearch
from vtsearch import VtsearchError, pack
from vtsearch.cli import main
from vtsearch.data import open_dataset
from vtsearch.data.selection import select_images
from vtsearch.encoding import Encoder
from vtsearch.encoding.image_inputs import ImageInputs
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model

DATA = Path(os.environ.get("VTSEARCH_DATA", ""))
BACKBONE = DATA / "backbones" / "vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors"


@pytest.fixture(scope="module")
def source():
    return open_dataset("digits").source


@pytest.fixture(scope="module")
def pictures():
    draw = np.random.default_rng(0)
    return [draw.integers(256, size=(20 + n, 30, 3), dtype=np.uint8) for n in range(5)]


def test_codes_are_the_signs_of_the_features(tiny_model, source):
    encoder = Encoder(tiny_model, precision="fp32")
    images = tiny_model.preprocessing.prepare(torch.from_numpy(source.pixels(np.arange(8))))
    with torch.inference_mode():
        expected = tiny_model.eval()(images).numpy()
    features, codes = encoder.features(source, range(8)), encoder.encode(source, range(8))
    np.testing.assert_array_equal(features, expected)
    np.testing.assert_array_equal(codes, pack(expected))
    assert (features.dtype, features.shape) == (np.float32, (8, encoder.bits))
    assert (codes.dtype, codes.shape) == (np.uint8, (8, 2))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("n", [1, 7, 32, 65, 128])
def test_an_image_has_the_same_features_in_any_list(tiny_model, source, precision, n):
    encoder = Encoder(tiny_model, precision=precision, batch_size=32)
    everything = encoder.features(source, range(150))
    np.testing.assert_array_equal(encoder.features(source, range(n)), everything[:n])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_batch_size_changes_no_feature_and_order_only_its_rounding(tiny_model, source, precision):
    everything = Encoder(tiny_model, precision=precision).features(source, range(150))
    order = np.random.default_rng(1).permutation(150)
    shuffled = Encoder(tiny_model, precision=precision).features(source, order)
    # float32 products as small as this model's may round by the row of the pass in which an image stands
    np.testing.assert_allclose(shuffled, everything[order], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(pack(shuffled), pack(everything[order]))
    for batch_size in (1, 10, 128):
        same = Encoder(tiny_model, precision=precision, batch_size=batch_size).features(source, order)
        np.testing.assert_array_equal(same, shuffled)


def test_all_kinds_of_images_have_equal_features(tiny_model, pictures, tmp_path):
    encoder = Encoder(tiny_model)
    images = [Image.fromarray(array) for array in pictures]
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    tensors = [torch.from_numpy(array).permute(2, 0, 1) for array in pictures]
    expected = encoder.features(pictures)
    for same in (images, paths, map(str, paths), tensors, [pictures[0], images[1], str(paths[2]), *tensors[3:]]):
        np.testing.assert_array_equal(encoder.features(same), expected)
    np.testing.assert_allclose(encoder.features(images, [3, 1]), expected[[3, 1]], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(encoder.encode(images, [3, 1]), pack(expected[[3, 1]]))


def test_no_images_give_no_codes(tiny_model, source):
    encoder = Encoder(tiny_model)
    assert encoder.encode([]).shape == encoder.encode(source, []).shape == (0, 2)
    assert encoder.features([]).shape == (0, 12)


def test_the_mode_of_the_model_is_put_back(tiny_model, source):
    for mode in (True, False):
        tiny_model.train(mode)
        Encoder(tiny_model).encode(source, [0])
        assert tiny_model.training == mode


def test_progress_counts_every_image_once(tiny_model, source):
    counted = []
    Encoder(tiny_model, batch_size=32).encode(source, range(70), progress=counted.append)
    assert counted == [32, 32, 6]


def test_nothing_is_drawn_from_the_generator_of_the_training(tiny_model, source):
    before = torch.get_rng_state()
    Encoder(tiny_model).encode(source, range(5))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_fingerprint_covers_weights_preprocessing_and_arithmetic(tiny_model):
    encoder = Encoder(tiny_model, precision="fp32")
    assert encoder.fingerprints == {
        "model": tiny_model.fingerprint(),
        "preprocessing": tiny_model.preprocessing.fingerprint("upright"),
        "arithmetic": "fp32",
    }
    assert encoder.fingerprint == Encoder(tiny_model, precision="fp32", batch_size=1).fingerprint
    assert encoder.fingerprint != Encoder(tiny_model, precision="bf16").fingerprint
    before = encoder.fingerprint
    with torch.no_grad():
        next(tiny_model.parameters()).add_(1)
    assert encoder.fingerprint != before


BAD_IMAGES = {
    "one image": (lambda p: Image.new("RGB", (4, 4)), TypeError, "images: expected a list of .*, got one Image"),
    "one path": (lambda p: str(p / "a.png"), TypeError, "images: expected a list of .*, got one str"),
    "a number": (lambda p: 3, TypeError, "images: expected a list of .*, got one int"),
    "numbers": (lambda p: [3], TypeError, r"images\[0\]: expected Pillow images, paths, .*, got int"),
    "floats": (lambda p: [np.zeros((4, 4, 3))], TypeError, r"images\[0\]: expected uint8 pixels, .*float64"),
    "float tensors": (lambda p: [torch.zeros(3, 4, 4)], TypeError, r"images\[0\]: expected uint8 pixels, .*float32"),
    "gray": (
        lambda p: [np.zeros((4, 4), np.uint8)],
        ValueError,
        r"images\[0\]: expected shape \(h, w, 3\), .*\(4, 4\)",
    ),
    "channels first": (lambda p: [np.zeros((3, 4, 5), np.uint8)], ValueError, r"expected shape \(h, w, 3\)"),
    "channels last": (
        lambda p: [torch.zeros(4, 5, 3, dtype=torch.uint8)],
        ValueError,
        r"images\[0\]: expected shape \(3, h, w\), got \(4, 5, 3\)",
    ),
    "no pixels": (lambda p: [np.zeros((0, 4, 3), np.uint8)], ValueError, r"images\[0\]: expected shape"),
    "a missing file": (lambda p: [p / "none.png"], FileNotFoundError, r"images\[0\]: no such image: .*none\.png"),
    "no image": (lambda p: [p / "text.png"], VtsearchError, r"images\[0\]: cannot read image .*text\.png"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_images_of_other_kinds_are_named(tiny_model, tmp_path, case):
    images, kind, message = BAD_IMAGES[case]
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(kind, match=message):
        Encoder(tiny_model).encode(images(tmp_path))


def test_a_truncated_image_that_pillow_has_opened_is_named(tiny_model, pictures, tmp_path):
    Image.fromarray(pictures[0]).save(tmp_path / "a.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "a.png").read_bytes()[:700])
    with Image.open(tmp_path / "half.png") as image, pytest.raises(VtsearchError, match=r"images\[0\]: cannot read"):
        Encoder(tiny_model).encode([image])


def test_arguments_out_of_range_are_named(tiny_model, source, tmp_path):
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        Encoder(tiny_model, batch_size=0)
    with pytest.raises(ValueError, match="precision: expected one of auto, bf16, fp16, fp32, got 'fp8'"):
        Encoder(tiny_model, precision="fp8")
    with pytest.raises(ValueError, match="precision: expected auto, bf16 or fp32 on a cpu device, got 'fp16'"):
        Encoder(tiny_model, precision="fp16")
    with pytest.raises(ValueError, match="positions: expected 0 to 1796"):
        Encoder(tiny_model).encode(source, [1797])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Encoder(tmp_path / "nowhere")
    with pytest.raises(VtsearchError, match="not a model folder"):
        Encoder(tmp_path)


def test_load_model_gives_the_encoder_of_the_folder(tiny_model, pictures, tmp_path):
    save_model(tiny_model, tmp_path / "model")
    encoder = vtsearch.load_model(tmp_path / "model")
    assert isinstance(encoder, vtsearch.Encoder)
    assert encoder.fingerprint == Encoder(str(tmp_path / "model")).fingerprint
    np.testing.assert_array_equal(encoder.encode(pictures), Encoder(tmp_path / "model").encode(pictures))


@pytest.mark.slow
@pytest.mark.skipif(not BACKBONE.is_file(), reason="needs real data: set VTSEARCH_DATA")
def test_command_and_python_give_equal_codes_of_real_images(tmp_path):
    files = sorted((DATA / "coco736" / "images").rglob("*.jpg"))[:20]
    torch.manual_seed(0)
    config = ModelConfig("vit_tiny_patch16_224", 64, head="cls", weights=str(BACKBONE))
    save_model(build_model(config), tmp_path / "model")
    words = ["encode", *map(str, files), "--model", str(tmp_path / "model"), "--output", str(tmp_path / "index")]
    assert main(words) == 0
    encoder = vtsearch.load_model(tmp_path / "model")
    with Index.open(tmp_path / "index") as index:
        codes = np.array(index.codes())
        assert {**index.fingerprints} == encoder.fingerprints
    order = np.random.default_rng(0).permutation(len(files))
    np.testing.assert_array_equal(encoder.encode([files[at] for at in order]), codes[order])
    parts = [Encoder(tmp_path / "model").encode(part) for part in (files[:1], files[1:8], files[8:])]
    np.testing.assert_array_equal(np.concatenate(parts), codes)


# ---------------------------------------------------------------------------------------------------------------------
# The rules by which pixels are read


@pytest.fixture
def turned(tmp_path):
    """A picture, and a file of it that lies on its side and says so."""
    photo = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(photo).copy()).save(tmp_path / "side.png", exif=exif)
    return photo, tmp_path / "side.png"


def test_own_images_are_encoded_upright_in_every_form(tiny_model, turned):
    photo, path = turned
    encoder = Encoder(tiny_model)
    (expected,) = encoder.encode([photo])
    with Image.open(path) as opened:
        for form in (path, str(path), opened, ImageInputs([path]).load(0)):
            assert np.array_equal(encoder.encode([form])[0], expected)
    assert np.array_equal(encoder.encode(select_images([str(path)]).source)[0], expected)


def test_the_rule_of_a_source_belongs_to_the_fingerprint_of_its_codes(tiny_model, turned):
    encoder = Encoder(tiny_model)
    upright, published = encoder.fingerprints_by("upright"), encoder.fingerprints_by("published")
    assert encoder.fingerprints == upright
    assert upright["preprocessing"] != published["preprocessing"] == tiny_model.preprocessing.fingerprint()
    assert encoder.fingerprints_of(select_images([str(turned[1])]).source) == upright
    assert encoder.fingerprints_of(open_dataset("digits").source) == published


def test_own_images_may_be_queries_of_published_ones_and_are_not_mixed_with_them(tiny_model, tmp_path):
    encoder = Encoder(tiny_model)
    published = encoder.fingerprints_of(open_dataset("digits").source)
    with Index.create(tmp_path / "index", encoder.bits, fingerprints=published) as index:
        index.check_fingerprints(encoder.query_fingerprints(index.fingerprints))
        with pytest.raises(VtsearchError, match="preprocessing"):
            index.check_fingerprints(encoder.fingerprints)
    assert encoder.query_fingerprints({}) == encoder.query_fingerprints(encoder.fingerprints) == encoder.fingerprints


def test_a_closed_pillow_image_is_named(tiny_model, turned):
    with Image.open(turned[1]) as image:
        pass
    with pytest.raises(VtsearchError, match=r"images\[0\]: cannot read image: \S"):
        Encoder(tiny_model).encode([image])
