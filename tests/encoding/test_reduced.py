"""Large JPEG files have one code, however they come to the model."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vtsearch import load_model
from vtsearch.cli import main
from vtsearch.data import open_image_folder
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.data.selection import select_images
from vtsearch.encoding import Encoder
from vtsearch.encoding.image_inputs import ImageInputs
from vtsearch.index import Index
from vtsearch.models import save_model
from vtsearch.tensors.preprocessing import Preprocessing


@pytest.fixture
def paths(tmp_path):
    """Three JPEG files of one class, of which the model needs a quarter of the side or less; one lies on its side."""
    folder = tmp_path / "photos" / "cat"
    folder.mkdir(parents=True)
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (30 + number, 40, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((480 + number, 360), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 1 else 1
        image.save(folder / f"{number}.jpg", exif=exif)
    return sorted(folder.iterdir())


def pixels_of(source):
    """Evaluation pixels of all images of a source."""
    return ImageDataset(source, np.arange(len(source)), Preprocessing(32)).__getitems__(range(len(source))).images


def test_all_ways_give_the_same_evaluation_pixels(paths):
    folder = paths[0].parents[1]
    opened = [Image.open(io.BytesIO(path.read_bytes())) for path in paths]
    wanted = pixels_of(open_image_folder(folder))
    for source in (ImageInputs(paths), ImageInputs(opened), select_images([str(paths[0].parent)]).source):
        assert pixels_of(source).equal(wanted)
    decoded = [np.asarray(Image.open(io.BytesIO(path.read_bytes()))) for path in paths[::2]]
    assert not pixels_of(ImageInputs(decoded)).equal(wanted[::2])  # arrays are taken as they are


@pytest.mark.parametrize("augment", ["none", "flip", "flip+crop", "flip+resized_crop"])
def test_cached_and_uncached_training_images_are_equal(paths, augment):
    source = open_image_folder(paths[0].parents[1])
    items = ImageDataset(source, np.arange(3), Preprocessing(32), augment=augment)
    fresh = items.__getitems__(range(3)).images
    items.hold(items.device)
    assert items.__getitems__(range(3)).images.equal(fresh)


def test_a_random_rectangle_is_cut_from_the_whole_image(paths):
    source = open_image_folder(paths[0].parents[1])
    items = ImageDataset(source, np.arange(3), Preprocessing(32), augment="flip+resized_crop")
    assert items.decoded_bytes() == 3 * 360 * (480 + 481 + 482)


def test_the_command_and_python_give_the_same_codes(paths, tiny_model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(tiny_model, tmp_path / "model")
    assert main(["encode", "photos", "--model", "model", "--output", "index"]) == 0
    index = Index.open("index")
    codes = index.codes()
    assert np.array_equal(load_model("model").encode(paths), codes)
    assert np.array_equal(Encoder("model").encode([Image.open(io.BytesIO(path.read_bytes())) for path in paths]), codes)
    assert main(["search", "photos/cat/1.jpg", "--index", "index", "-k", "1", "--with-self"]) == 0
    assert "0  cat/1.jpg" in capsys.readouterr().out


def test_the_size_at_which_files_are_decoded_is_part_of_the_identity_of_own_images():
    one, other = Preprocessing(32, crop_pct=0.5), Preprocessing(32, crop_pct=0.25)
    assert (one.least_side, other.least_side) == (128, 256)
    assert len({each.fingerprint(rule) for each in (one, other) for rule in ("upright", "published")}) == 4
