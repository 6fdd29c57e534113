"""From files to pixels: orientation, grey values, transparency, size, and what damaged files raise."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from vtsearch.data.sources import decode
from vtsearch.data.sources.decode import check_header, faults_named, read_image, rgb_of, scaled_to_8_bits
from vtsearch.errors import VtsearchError

TURNS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, -1),
}
"""EXIF orientation -> the stored pixels of an upright picture."""


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def oriented(pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return Image.fromarray(np.ascontiguousarray(pixels)), exif


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("orientation", TURNS)
def test_every_orientation_gives_the_same_upright_pixels(photo, tmp_path, orientation, suffix):
    image, exif = oriented(TURNS[orientation](photo), orientation)
    image.save(tmp_path / f"a.{suffix}", exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(np.asarray(read_image(tmp_path / f"a.{suffix}", "here")), photo)


def test_published_pixels_stay_as_they_are_stored(photo, tmp_path):
    image, exif = oriented(TURNS[6](photo), 6)
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png", "here", "published")), TURNS[6](photo))


def test_the_orientation_is_applied_once_only(photo, tmp_path):
    image, exif = oriented(TURNS[6](photo), 6)
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        once = rgb_of(opened, "upright")
        assert opened.getexif()[0x0112] == 6  # the given image is not changed
    assert np.array_equal(np.asarray(rgb_of(once, "upright")), photo)
    assert np.array_equal(np.asarray(rgb_of(ImageOps.exif_transpose(image), "upright")), TURNS[6](photo))


def test_broken_metadata_do_not_hide_the_pixels(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png", "here")), photo)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
def test_grey_values_of_more_than_8_bits_are_scaled(tmp_path, bits, mode):
    white = 2**bits - 1
    values = np.linspace(0, white, 40).reshape(5, 8)
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}[mode]
    Image.frombytes(mode, (8, 5), values.astype(kind).tobytes()).save(tmp_path / "a.tif")
    grey = np.asarray(read_image(tmp_path / "a.tif", "here"))
    assert np.array_equal(grey[..., 0], grey[..., 2])
    assert np.abs(grey[..., 0] - values * 255 / white).max() <= 1
    assert grey[..., 0].max() == 255


def test_five_dark_and_bright_16_bit_files_differ(tmp_path):
    seen = set()
    for brightest in range(20_000, 61_000, 10_000):
        values = np.linspace(0, brightest, 64).reshape(8, 8).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / "a.png")
        seen.add(read_image(tmp_path / "a.png", "here").tobytes())
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 2.0, 255.0]], np.float32), [0, 2, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, np.inf, 100.0]], np.float32), [0, 255, 100]),
        (np.full((1, 2), np.nan, np.float32), [0, 0]),
        (np.array([[0, 7, 255]], np.int32), [0, 7, 255]),
        (np.array([[-2000, 0, 2000]], np.int32), [0, 128, 255]),
        (np.array([[0, 70_000, 140_000]], np.int32), [0, 128, 255]),
        (np.full((1, 2), -5, np.int32), [0, 0]),
        (np.zeros((1, 2), np.uint16), [0, 0]),
    ],
)
def test_grey_values_are_scaled_by_the_rule_of_their_range(values, expected):
    assert scaled_to_8_bits(values)[0].tolist() == expected


SHAPE = np.zeros((6, 6), np.uint8)
SHAPE[2:4, 1:5] = 255


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_a_picture_drawn_in_the_alpha_channel_is_laid_on_white(tmp_path, mode):
    image = Image.new(mode[:-1], (6, 6))
    image.putalpha(Image.fromarray(SHAPE))
    assert image.mode == mode
    read = rgb_of(image, "upright")
    assert np.array_equal(np.asarray(read), np.repeat(255 - SHAPE[..., None], 3, axis=2))


def test_a_white_picture_is_laid_on_black():
    image = Image.new("RGB", (6, 6), "white")
    image.putalpha(Image.fromarray(SHAPE))
    assert np.array_equal(np.asarray(rgb_of(image, "upright"))[..., 0], SHAPE)


@pytest.mark.parametrize("alpha", [0, 255])
def test_an_alpha_channel_that_is_the_same_everywhere_changes_nothing(photo, alpha):
    image = Image.fromarray(photo)
    image.putalpha(alpha)
    assert np.array_equal(np.asarray(rgb_of(image, "upright")), photo)


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_a_transparent_value_is_laid_on_white(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(np.where(SHAPE > 0, 30_000, 0).astype(np.uint16))
    else:
        image = Image.fromarray(SHAPE // 2).convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "a.png", transparency=image.getpixel((0, 0)))
    read = np.asarray(read_image(tmp_path / "a.png", "here"))
    assert (read[0, 0] == 255).all()
    assert len(np.unique(read)) == 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"])
@pytest.mark.parametrize("rule", ["upright", "published"])
def test_every_mode_of_pillow_becomes_rgb(mode, rule):
    if (mode, rule) == ("La", "published"):
        pytest.skip("Pillow converts La to no RGB, and no published file has it")
    assert rgb_of(Image.new(mode, (4, 3)), rule).mode == "RGB"


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"])
def test_every_other_mode_of_pillow_becomes_rgb(mode):
    assert rgb_of(Image.new(mode, (4, 3)), "upright").mode == "RGB"


# ---------------------------------------------------------------------------------------------------------------------
# Size


@pytest.mark.slow
def test_a_picture_of_200_megapixels_is_read_at_half_its_size(tmp_path):
    image = Image.new("L", (16_320, 12_240), 90)
    image.save(tmp_path / "phone.jpg", quality=30)
    del image
    read = read_image(tmp_path / "phone.jpg", "here")
    assert (read.size, read.mode) == ((8_160, 6_120), "RGB")
    assert abs(read.getpixel((4000, 3000))[0] - 90) <= 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "P"])
def test_a_huge_picture_of_any_mode_is_halved(monkeypatch, tmp_path, mode):
    monkeypatch.setattr(decode, "HALVED_ABOVE", 63)
    Image.new(mode, (8, 8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", "here").size == (4, 4)
    assert read_image(tmp_path / "a.png", "here", "published").size == (8, 8)


def png_header(width, height):
    """A whole PNG file but for its pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"")


@pytest.mark.parametrize("read", [read_image, check_header])
def test_a_larger_picture_is_refused_with_its_size(tmp_path, read):
    (tmp_path / "a.png").write_bytes(png_header(20_000, 20_000))
    with pytest.raises(VtsearchError, match=r"a.png: expected at most 268,435,456 pixels, got 20,000 x 20,000"):
        read(tmp_path / "a.png", "here")


def test_pillows_own_bound_is_left_as_it_was(tmp_path, photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.fromarray(photo).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", "here").size == (7, 5)
    assert Image.MAX_IMAGE_PIXELS == 10


# ---------------------------------------------------------------------------------------------------------------------
# Faults


BUILT_IN = (ValueError, EOFError, MemoryError, OverflowError, SyntaxError, RecursionError, KeyError, OSError)
FAULTS = (
    *(kind("why") for kind in (*BUILT_IN, struct.error, zlib.error, Image.DecompressionBombError)),
    AssertionError(),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_whatever_a_decoder_raises_names_the_file(monkeypatch, tmp_path, photo, fault):
    Image.fromarray(photo).save(tmp_path / "a.png")

    def fail(_image):
        raise fault

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(VtsearchError, match=r"list.txt:3: cannot read image .*a\.png: \S") as error:
        read_image(tmp_path / "a.png", "list.txt:3")
    assert error.value.__cause__ is fault


@pytest.mark.parametrize(
    "content", [b"", b"hello", png_header(3, 3), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
@pytest.mark.parametrize("rule", ["upright", "published"])
def test_what_is_no_image_is_named(tmp_path, content, rule):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(VtsearchError, match=r"here: cannot read image .*a\.jpg: \S"):
        read_image(tmp_path / "a.jpg", "here", rule)


def test_paths_that_are_no_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_image(tmp_path / "none.png", "here")
    with pytest.raises(VtsearchError, match="cannot read image"):
        read_image(tmp_path, "here")
    with pytest.raises(VtsearchError, match=r"cannot read image .*: embedded null"):
        read_image(tmp_path / "a\0b", "here")


def test_a_file_that_may_not_be_read_is_told_apart(monkeypatch, tmp_path):
    def refuse(path, _mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    with pytest.raises(PermissionError, match=r"a\.png"):
        read_image(tmp_path / "a.png", "here")


def test_documented_exceptions_pass_the_boundary():
    for fault in (FileNotFoundError("f"), PermissionError("p"), VtsearchError("v"), ModuleNotFoundError("m")):
        with pytest.raises(type(fault)), faults_named("here"):
            raise fault


SAVED = {
    "jpg": {}, "png": {}, "gif": {}, "bmp": {}, "tif": {"compression": "tiff_lzw"}, "webp": {}, "avif": {}, "jp2": {},
    "ppm": {}, "tga": {}, "qoi": {}, "ico": {}, "pcx": {},
}  # fmt: skip
"""Suffix -> how the files to damage are written."""


def damaged(content, random):
    """A file with one to eight flipped bits, or cut, or both."""
    kind, content = random.integers(3), bytearray(content)
    if kind != 1:
        for at in random.integers(0, min(len(content), 10 ** random.integers(1, 5)), random.integers(1, 9)):
            content[at] ^= 1 << int(random.integers(8))
    return bytes(content[: random.integers(len(content))] if kind else content)


@pytest.mark.filterwarnings("ignore")  # Pillow's own, about damaged metadata
@pytest.mark.parametrize("suffix", SAVED)
def test_damaged_files_raise_the_documented_exception_with_their_name(tmp_path, suffix):
    file, random = io.BytesIO(), np.random.default_rng(len(suffix))
    Image.fromarray(random.integers(0, 256, (24, 31, 3), dtype=np.uint8)).save(
        file, {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000"}.get(suffix, suffix), **SAVED[suffix]
    )
    path = tmp_path / f"a.{suffix}"
    for _ in range(12):
        path.write_bytes(damaged(file.getvalue(), random))
        for rule in ("upright", "published"):
            try:
                assert read_image(path, "here", rule).mode == "RGB"
            except VtsearchError as error:
                assert f"here: cannot read image {path}: " in str(error)  # noqa: PT017
