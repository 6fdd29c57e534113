"""Held images: decoded once, augmented where they lie, and the same as those that are read in every epoch."""

from __future__ import annotations

import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from vtsearch.data import open_image_folder
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.data.sources.digits import DigitsSource
from vtsearch.errors import VtsearchError
from vtsearch.tensors.preprocessing import Preprocessing

AUGMENTS = ["none", "flip", "flip+crop", "flip+resized_crop", "crop+trivial"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve files of twelve sizes, in two classes."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(12):
        (root / "ab"[number % 2]).mkdir(exist_ok=True)
        picture = random.integers(256, size=(40 + 7 * number, 120 - 5 * number, 3), dtype=np.uint8)
        Image.fromarray(picture).save(root / "ab"[number % 2] / f"{number:02}.png")
    return root


def build(source, augment, size=24, **options):
    return ImageDataset(source, np.arange(2, 12), Preprocessing(size), augment=augment, seed=3, **options)


@pytest.mark.parametrize("augment", AUGMENTS)
@pytest.mark.parametrize("kind", ["files", "digits"])
def test_held_images_are_augmented_as_read_ones(folder, augment, kind):
    source = open_image_folder(folder) if kind == "files" else DigitsSource()
    read, held = build(source, augment), build(source, augment)
    held.hold(CPU, threads=2)
    assert held.is_held
    assert not read.is_held
    for epoch in range(2):
        for data in (read, held):
            data.set_epoch(epoch)
        for ours, theirs in zip(held.__getitems__([3, 9, 0]), read.__getitems__([3, 9, 0]), strict=True):
            assert torch.equal(ours, theirs)


def test_held_images_are_not_read_again(folder):
    source = open_image_folder(folder)
    data, asked = build(source, "flip+crop"), []
    original = source.load_reduced
    source.load_reduced = lambda position, least: asked.append(position) or original(position, least)
    data.hold(CPU, progress=lambda _: None)
    assert sorted(asked) == list(range(2, 12))
    for epoch in range(3):
        data.set_epoch(epoch)
        data.__getitems__(range(10))
    assert len(asked) == 10


def test_progress_counts_every_image(folder):
    for source in (open_image_folder(folder), DigitsSource()):
        counted = []
        build(source, "none").hold(CPU, progress=counted.append)
        assert sum(counted) == 10


@pytest.mark.parametrize(("augment", "tolerance"), [("none", 0), ("flip", 0), ("flip+crop", 0)])
def test_the_bytes_of_files_are_those_of_their_resized_size(folder, augment, tolerance):
    data = build(open_image_folder(folder), augment)
    resized = [data._origin.one(row) for row in range(10)]
    assert abs(data.decoded_bytes() - sum(image.nbytes for image in resized)) <= tolerance
    assert {min(image.shape[1:]) for image in resized} == {27 if augment == "flip+crop" else 24}


def test_the_bytes_of_decoded_sources_are_their_own():
    assert build(DigitsSource(), "none").decoded_bytes() == 10 * 3 * 8 * 8
    assert build(DigitsSource(), "none").is_decoded


def test_a_file_that_cannot_be_read_is_named_before_training(folder, tmp_path):
    root = tmp_path / "copy"
    for path in sorted(folder.rglob("*.png")):
        (root / path.parent.name).mkdir(parents=True, exist_ok=True)
        (root / path.parent.name / path.name).write_bytes(path.read_bytes())
    (root / "a" / "04.png").write_bytes(b"nothing")
    with pytest.raises(VtsearchError, match=r"cannot read image .*04\.png"):
        build(open_image_folder(root), "flip").hold(CPU, threads=2)


def test_batches_are_made_on_the_device_that_holds_the_images(folder):
    for source in (open_image_folder(folder), DigitsSource()):
        data = build(source, "flip+crop")
        data.hold(torch.device("meta"))
        images, labels, positions = data.__getitems__([1, 2])
        assert (images.device.type, tuple(images.shape)) == ("meta", (2, 3, 24, 24))
        assert (labels.device, positions.device) == (CPU, CPU)


def test_a_data_set_goes_to_processes_that_begin_anew(folder):
    for source in (open_image_folder(folder), DigitsSource()):
        data = build(source, "flip")
        again = pickle.loads(multiprocessing.reduction.ForkingPickler.dumps(data))
        assert torch.equal(again.__getitems__([4, 5]).images, data.__getitems__([4, 5]).images)


def test_a_class_number_without_a_name_is_refused():
    source = DigitsSource()
    source.classes = source.classes[:5]
    with pytest.raises(ValueError, match="labels: expected 0 to 4, got "):
        build(source, "none")
