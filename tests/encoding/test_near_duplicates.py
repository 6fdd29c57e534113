"""Real photographs in every orientation, format and mode, and files that were damaged at random."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from vtsearch.data.selection import select_images
from vtsearch.data.sources.decode import read_image
from vtsearch.data.validation.content_hash import hash_images
from vtsearch.encoding import Encoder
from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig, build_model

DATA = Path(os.environ.get("VTSEARCH_DATA", "/nowhere"))
FOLDER = DATA / "neardup_mini"
BACKBONE = DATA / "backbones" / "vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors"
PROJECTION = 1  # the seed of the random projection
DAMAGED = 2_100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir() or not BACKBONE.is_file(), reason="VTSEARCH_DATA has no neardup_mini"),
]


@pytest.fixture(scope="module")
def groups():
    with (FOLDER / "groups.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def codes(groups):
    """Path -> code of 64 bits of every readable file."""
    torch.manual_seed(PROJECTION)
    config = ModelConfig(backbone=BACKBONE.stem, weights=str(BACKBONE), bits=64, head="pooled")
    names = [row["path"] for row in groups if row["level"] != "unreadable"]
    found = Encoder(build_model(config), precision="fp32").encode([FOLDER / name for name in names])
    return dict(zip(names, found, strict=True))


def farthest(codes, first, others):
    return max(int(np.unpackbits(codes[first] ^ codes[other]).sum()) for other in others)


@pytest.mark.parametrize("photo", ["Landscape", "Portrait"])
def test_the_orientations_of_a_photo_are_one_picture(groups, codes, photo):
    names = [row["path"] for row in groups if row["group"] == f"exif:{photo}"]
    assert len(names) == 9  # the eight, and one without: JPEG files of their own; other photos differ in 8 bits or more
    assert farthest(codes, f"images/exif_{photo}_1.jpg", names) <= 7


def test_the_formats_and_modes_of_a_photo_are_one_picture(groups, codes):
    names = [row["path"] for row in groups if row["level"] == "format"]
    assert len(names) == 14
    assert farthest(codes, "images/bridge_aaa-orig.jpg", names) <= 6


def test_the_one_unreadable_file_is_named(groups):
    source = select_images([str(FOLDER / "images")]).source
    assert len(source) == len(groups) == 76
    faults = [fault for fault in hash_images(source, quick=False, progress=None).values() if isinstance(fault, str)]
    (fault,) = faults
    assert f"cannot read image {FOLDER / 'images/ukbench09268_corrupt.jpg'}: " in fault


@pytest.mark.filterwarnings("ignore")  # Pillow's own, about damaged metadata
def test_damaged_files_raise_the_documented_exception_with_their_name(groups, tmp_path, record_property):
    random, outcomes = np.random.default_rng(0), {"read": 0, "refused": 0}
    files = [FOLDER / row["path"] for row in groups if row["level"] in ("format", "unreadable", "exif")]
    files += [FOLDER / "images/pen-and-coaster.png"]
    for number in range(DAMAGED):
        file = files[number % len(files)]
        path = tmp_path / f"damaged{file.suffix}"
        path.write_bytes(damaged(file.read_bytes(), random))
        try:
            assert read_image(path, "here").mode == "RGB"
            outcomes["read"] += 1
        except VtsearchError as error:
            assert f"here: cannot read image {path}: " in str(error)  # noqa: PT017
            outcomes["refused"] += 1
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 0


def damaged(content, random):
    """A file with one to eight flipped bits, most of them at its beginning, or cut, or both."""
    kind, content = random.integers(3), bytearray(content)
    if kind != 1:
        for at in random.integers(0, min(len(content), 10 ** random.integers(2, 6)), random.integers(1, 9)):
            content[at] ^= 1 << int(random.integers(8))
    return bytes(content[: random.integers(len(content))] if kind else content)
