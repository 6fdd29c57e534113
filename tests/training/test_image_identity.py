from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vtsearch.data import open_dataset
from vtsearch.data.open import open_folder
from vtsearch.errors import VtsearchError
from vtsearch.training.image_identity import compare_images, image_identity


@pytest.fixture
def images(tmp_path):
    """The data of a folder with two classes of four small images without compression."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.bmp")
    return open_folder(tmp_path)


def file_of(images):
    return images.source.path(5)


def change_a_pixel(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_the_same_images_are_accepted_wherever_and_whenever_they_were_written(images):
    saved = image_identity(images)
    os.utime(file_of(images), (1, 1))
    assert compare_images(images, saved, image_identity(images)) == ""


def test_an_image_with_another_pixel_is_refused_with_its_name(images):
    saved = image_identity(images)
    change_a_pixel(file_of(images))
    with pytest.raises(VtsearchError, match=rf"{file_of(images)}: .* of another content \(1 in all\)"):
        compare_images(images, saved, image_identity(images))


def test_of_many_bytes_the_sizes_are_compared(images):
    saved = image_identity(images, most_bytes=0)
    assert "sums" not in saved
    file_of(images).write_bytes(b"short")
    with pytest.raises(VtsearchError, match="got one of another size"):
        compare_images(images, saved, image_identity(images, most_bytes=0))


def test_of_many_bytes_another_time_is_a_warning(images):
    saved = image_identity(images, most_bytes=0)
    os.utime(file_of(images), (1, 1))
    warning = compare_images(images, saved, image_identity(images, most_bytes=0))
    assert warning.startswith(f"1 image files were written again since this run began, first {file_of(images)}")


def test_other_pixels_in_memory_are_refused():
    data = open_dataset("digits")
    saved = image_identity(data)
    assert compare_images(data, saved, image_identity(data)) == ""
    other = replace(data, source=type(data.source)())
    other.source.pixels = lambda positions: data.source.pixels(positions) // 2
    with pytest.raises(VtsearchError, match="digits: expected the images that this run was started with"):
        compare_images(data, saved, image_identity(other))
    with pytest.raises(VtsearchError, match="digits: expected the images"):
        compare_images(data, saved, {"sizes": None, "times": None})
