"""JPEG files that are decoded at the smallest size that is enough."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vtsearch.data import open_image_folder, open_image_list
from vtsearch.data.selection import select_images
from vtsearch.data.sources import decode
from vtsearch.data.sources.decode import read_image, read_opened
from vtsearch.data.sources.digits import DigitsSource
from vtsearch.data.sources.image_source import load_reduced
from vtsearch.errors import VtsearchError

SIZE = (640, 480)
KINDS = {
    "grey": ("L", {}),
    "colour": ("RGB", {}),
    "subsampled": ("RGB", {"subsampling": "4:2:0"}),
    "progressive": ("RGB", {"progressive": True}),
    "cmyk": ("CMYK", {}),
}


def picture(mode="RGB"):
    """A smooth picture of 640 x 480 pixels."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def jpeg(tmp_path):
    path = tmp_path / "cat" / "a.jpg"
    path.parent.mkdir()
    picture().save(path, quality=95)
    return path


def distance(one, other):
    """The mean difference of the pixels of two images at 64 x 48 pixels."""
    small = [np.asarray(image.resize((64, 48)), dtype=np.float64) for image in (one, other)]
    return np.abs(small[0] - small[1]).mean()


@pytest.mark.parametrize(
    ("least", "size"),
    [(480, (640, 480)), (241, (640, 480)), (240, (320, 240)), (121, (320, 240)), (120, (160, 120)), (1, (80, 60))],
)
def test_the_smallest_size_that_is_enough(jpeg, least, size):
    assert read_image(jpeg, "here", least_side=least).size == size
    assert read_image(jpeg, "here", least_side=None).size == SIZE


def test_sides_that_do_not_divide_are_rounded_up(tmp_path):
    Image.new("RGB", (643, 481)).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg", "here", least_side=100).size == (161, 121)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_jpeg_shows_the_same_picture(tmp_path, kind):
    mode, options = KINDS[kind]
    picture(mode).save(tmp_path / "a.jpg", quality=95, **options)
    whole, small = (read_image(tmp_path / "a.jpg", "here", least_side=least) for least in (None, 100))
    assert (whole.size, small.size, small.mode) == (SIZE, (160, 120), "RGB")
    assert distance(whole, small) < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_shows_the_same_picture(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(tmp_path / "a.jpg", quality=95, exif=exif)
    whole, small = (read_image(tmp_path / "a.jpg", "here", least_side=least) for least in (None, 100))
    assert small.size == ((160, 120) if orientation < 5 else (120, 160))
    assert distance(whole, small) < 1.5


def test_of_several_frames_the_first(tmp_path):
    picture().save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", SIZE)])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.format == "MPO"
        whole, small = (read_image(tmp_path / "a.jpg", "here", least_side=least) for least in (None, 100))
        assert small.size == (160, 120)
        assert distance(whole, small) < 1.5
        opened.seek(1)
        assert read_opened(opened, "here", least_side=100).size == SIZE  # the second is taken as it is
    assert np.asarray(small).max() > 0


def test_published_images_and_other_formats_are_read_whole(jpeg, tmp_path):
    assert read_image(jpeg, "here", "published", 1).size == SIZE
    for suffix in ("png", "webp", "tif"):
        picture().save(tmp_path / f"a.{suffix}")
        assert read_image(tmp_path / f"a.{suffix}", "here", least_side=1).size == SIZE


def test_a_huge_image_is_at_most_half_its_size(jpeg, monkeypatch):
    monkeypatch.setattr(decode, "HALVED_ABOVE", 100_000)
    assert read_image(jpeg, "here").size == (320, 240)
    assert read_image(jpeg, "here", least_side=480).size == (320, 240)
    assert read_image(jpeg, "here", least_side=50).size == (80, 60)


def test_an_image_that_pillow_has_opened_is_read_like_its_file_and_stays_as_it_is(jpeg):
    wanted = np.asarray(read_image(jpeg, "here", least_side=100))
    with Image.open(jpeg) as opened:
        assert np.array_equal(np.asarray(read_opened(opened, "here", least_side=100)), wanted)
        assert opened.size == SIZE
        assert np.array_equal(np.asarray(opened), np.asarray(read_image(jpeg, "here")))
    with Image.open(io.BytesIO(jpeg.read_bytes())) as opened:
        assert np.array_equal(np.asarray(read_opened(opened, "here", least_side=100)), wanted)


def test_an_image_that_is_decoded_or_reduced_already_is_taken_as_it_is(jpeg):
    with Image.open(jpeg) as opened:
        opened.load()
        assert read_opened(opened, "here", least_side=100).size == SIZE
    with Image.open(jpeg) as opened:
        opened.draft(None, (300, 200))
        assert read_opened(opened, "here", least_side=100).size == (320, 240)
    with Image.open(jpeg) as opened:
        assert read_opened(opened, "here", "published", 100).size == SIZE


@pytest.mark.parametrize("least", [None, 100])
def test_a_truncated_file_is_refused(jpeg, least):
    jpeg.write_bytes(jpeg.read_bytes()[:3_000])
    with pytest.raises(VtsearchError, match=r"here: cannot read image .*a\.jpg: image file is truncated"):
        read_image(jpeg, "here", least_side=least)
    with Image.open(jpeg) as opened, pytest.raises(VtsearchError, match="here: cannot read image: image file is trunc"):
        read_opened(opened, "here", least_side=least)


def test_every_source_of_own_files_gives_the_reduced_image(jpeg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("cat/a.jpg 0\n")
    (tmp_path / "table.csv").write_text("path,label\ncat/a.jpg,cat\n")
    sources = [open_image_folder(tmp_path), open_image_list("list.txt")]
    sources += [select_images([name]).source for name in ("cat/a.jpg", "cat", ".", "list.txt", "table.csv")]
    wanted = np.asarray(read_image(jpeg, "here", least_side=100))
    for source in sources:
        assert np.array_equal(np.asarray(load_reduced(source, 0, 100)), wanted)
        assert source.load(0).size == load_reduced(source, 0, None).size == SIZE


def test_a_source_that_cannot_reduce_gives_the_whole_image():
    digits = DigitsSource()
    assert np.array_equal(np.asarray(load_reduced(digits, 3, 1)), np.asarray(digits.load(3)))
