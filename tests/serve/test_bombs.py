"""Small files that ask for much."""

from __future__ import annotations

import asyncio
import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from vtsearch.errors import VtsearchError
from vtsearch.serve.errors import TooLarge
from vtsearch.serve.pictures import PicturePool

SECONDS = 5.0


@pytest.fixture(scope="module")
def pool():
    pool = PicturePool(1, seconds=SECONDS, memory=2**30)
    yield pool
    pool.terminate()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *chunks):
    """A PNG whose pixels are missing."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


def jpeg(width, height):
    """A JPEG of 8 x 8 pixels that says it has others."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "jpeg")
    content = bytearray(file.getvalue())
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def gif(width, height):
    """A GIF of 1 x 1 pixels whose first frame is larger."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0" * 6
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def icon(image):
    """An icon of 16 x 16 pixels with another image in it."""
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(image), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + image


def apple_icon(image):
    """An icon of 128 x 128 pixels with another image in it."""
    part = b"ic07" + struct.pack(">I", len(image) + 8) + image
    return b"icns" + struct.pack(">I", len(part) + 8) + part


def bitmap(width, height):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "bmp")
    content = bytearray(file.getvalue())
    content[18:26] = struct.pack("<ii", width, height)
    return bytes(content)


def decode(pool, upload):
    """The pixels of an upload, from a process that must survive it and within a second."""
    asyncio.run(pool.decode(png_of_4_pixels(), "first", 64))
    before, start = pool.pids, time.monotonic()
    try:
        return asyncio.run(pool.decode(upload, "bomb", 64))
    finally:
        assert time.monotonic() - start < SECONDS / 2
        assert pool.pids == before


def png_of_4_pixels():
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    "upload",
    [png(60_000, 60_000), png(2**31 - 1, 2**31 - 1), jpeg(65_500, 65_500), gif(65_535, 65_535), bitmap(2**30, 2**30)],
    ids=["png", "largest png", "jpeg", "gif", "bmp"],
)
def test_a_header_of_many_pixels_is_enough_to_refuse(pool, upload):
    assert len(upload) < 2000
    with pytest.raises(TooLarge, match="cannot read image bomb: expected at most 67,108,864 pixels, got "):
        decode(pool, upload)


@pytest.mark.parametrize(
    ("upload", "reason"),
    [(icon(png(60_000, 60_000)), "not enough memory"), (apple_icon(png(8_193, 8_192)), ".*decompression bomb")],
    ids=["ico", "icns"],
)
def test_an_image_within_an_image_is_bounded_too(pool, upload, reason):
    with pytest.raises(VtsearchError, match=f"cannot read image bomb: {reason}"):
        decode(pool, upload)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_texts_that_grow_are_refused_or_left_compressed(pool, kind):
    packed = zlib.compress(b"\0" * 500_000_000, 9)
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\x01\0\0\0", b"iCCP": b"a\0\0"}[kind]
    with pytest.raises(VtsearchError, match="cannot read image bomb: "):
        decode(pool, png(2, 2, chunk(kind, head + packed)))


def test_of_many_frames_the_first_is_read(pool):
    file = io.BytesIO()
    frames = [Image.new("P", (40, 30), at) for at in range(3000)]
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:])
    assert decode(pool, file.getvalue()).shape == (30, 40, 3)


def test_metadata_of_megabytes_cost_nothing_worth_mentioning(pool):
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, 1) for tag in range(1, 65_535))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 65_534) + tags + b"\0" * 8_000_000
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 14))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0))
    upload = b"\x89PNG\r\n\x1a\n" + header + chunk(b"eXIf", exif) + pixels + chunk(b"IEND", b"")
    assert np.array_equal(decode(pool, upload), np.zeros((2, 2, 3), np.uint8))
