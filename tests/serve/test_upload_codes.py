"""The code of an upload is that of its file."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
import torch
from PIL import Image

from vtsearch.data.sources.decode import read_image
from vtsearch.encoding import Encoder
from vtsearch.models import ModelConfig, build_model
from vtsearch.serve.pictures import PicturePool

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def pool():
    pool = PicturePool(1)
    yield pool
    pool.terminate()


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Encoder(build_model(ModelConfig(backbone="test_vit", bits=48, image_size=32, pretrained=False)))


def photo(width, height, mode="RGB"):
    draw = np.random.default_rng(width)
    coarse = Image.fromarray(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    return Image.blend(coarse, Image.effect_noise((width, height), 60).convert("RGB"), 0.3).convert(mode)


def stored(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def seen_through(width, height):
    image = photo(width, height)
    image.putalpha(Image.linear_gradient("L").resize((width, height)))
    return image


def deep(width, height, most):
    values = np.random.default_rng(0).integers(0, most, (height, width), dtype=np.uint16)
    return Image.fromarray(values)


FILES = {
    "small jpeg": lambda: stored(photo(60, 40), "jpeg"),
    "jpeg": lambda: stored(photo(300, 200), "jpeg"),
    "large jpeg": lambda: stored(photo(2500, 1700), "jpeg"),
    "odd jpeg": lambda: stored(photo(1237, 611), "jpeg"),
    "progressive jpeg": lambda: stored(photo(1500, 900), "jpeg", progressive=True),
    "grey jpeg": lambda: stored(photo(900, 800, "L"), "jpeg"),
    "cmyk jpeg": lambda: stored(photo(900, 800, "CMYK"), "jpeg"),
    **{
        f"turned jpeg {each}": lambda each=each: stored(photo(1300, 700), "jpeg", exif=turned(each))
        for each in range(2, 9)
    },
    "turned png": lambda: stored(photo(90, 70), "png", exif=turned(6)),
    "16-bit png": lambda: stored(deep(300, 200, 65_536), "png"),
    "12-bit png": lambda: stored(deep(300, 200, 4_096), "png"),
    "transparent png": lambda: stored(seen_through(300, 200), "png"),
    "palette png": lambda: stored(photo(300, 200).quantize(32), "png"),
    "palette with a transparent colour": lambda: stored(photo(300, 200).quantize(32), "png", transparency=3),
    "grey and alpha": lambda: stored(seen_through(300, 200).convert("LA"), "png"),
    "black and white": lambda: stored(photo(300, 200, "1"), "png"),
    "gif": lambda: stored(photo(300, 200), "gif"),
    "webp": lambda: stored(photo(300, 200), "webp"),
    "transparent webp": lambda: stored(seen_through(300, 200), "webp", lossless=True),
    "tiff of numbers": lambda: stored(Image.fromarray(np.random.default_rng(0).random((90, 80), np.float32)), "tiff"),
    "bmp": lambda: stored(photo(300, 200), "bmp"),
    "one row": lambda: stored(photo(1000, 1), "png"),
    "one pixel": lambda: stored(photo(1, 1), "png"),
    "square, smaller than the model's": lambda: stored(photo(20, 20), "png"),
}


@pytest.mark.parametrize("kind", FILES)
def test_an_upload_has_the_pixels_and_the_code_of_its_file(kind, pool, encoder, tmp_path):
    path, upload = tmp_path / "file", FILES[kind]()
    path.write_bytes(upload)
    least_side = encoder.model.preprocessing.least_side
    pixels = asyncio.run(pool.decode(upload, "upload", least_side))
    np.testing.assert_array_equal(pixels, np.asarray(read_image(path, "file", "upright", least_side)))
    np.testing.assert_array_equal(encoder.features([pixels]), encoder.features([path]))
    np.testing.assert_array_equal(encoder.encode([pixels]), encoder.encode([path]))


def test_a_large_jpeg_is_decoded_no_larger_than_the_model_needs(pool, encoder):
    least_side = encoder.model.preprocessing.least_side
    assert asyncio.run(pool.decode(FILES["large jpeg"](), "upload", least_side)).shape == (213, 313, 3)
    assert asyncio.run(pool.decode(FILES["large jpeg"](), "upload", None)).shape == (1700, 2500, 3)
