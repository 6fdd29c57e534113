from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vtsearch.data.locate import ImageLocator
from vtsearch.data.pictures import Pictures, tile


@pytest.fixture
def pictures(tmp_path):
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(tmp_path / name)
    return Pictures(ImageLocator({"files": str(tmp_path)}, ["a.png", "b.png", "c.png"], index="codes"))


def test_images_that_are_there_are_loaded(pictures):
    assert [np.array(pictures.load(at))[0, 0, 0] for at in range(3)] == [0, 1, 2]
    assert (pictures.missing, pictures.note()) == ({}, "")


def test_a_tile_with_the_name_stands_for_an_image_that_is_gone(pictures, tmp_path):
    (tmp_path / "b.png").unlink()
    assert np.array_equal(np.array(pictures.load(1)), np.array(tile("b.png")))
    assert pictures.load(2).size == (30, 20)
    assert pictures.note().startswith("a tile with the name stands for 1 image that cannot be read, such as b.png: ")
    (tmp_path / "a.png").write_text("hello")
    pictures.load(0)
    assert list(pictures.missing) == ["b.png", "a.png"]
    assert "for 2 images that cannot be read" in pictures.note()


@pytest.mark.parametrize("name", ["", "a", "é" * 7, "word " * 100, "x" * 500, "\x1b[31m", "a\nb"])
def test_every_name_fits_on_a_tile(name):
    assert tile(name).size == (160, 160)
    assert len(tile("some name").convert("RGB").getcolors()) > 2
