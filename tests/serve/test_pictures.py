"""Thumbnails and uploads from a pool of decoding processes."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from container_files import encoded, write_parquet, write_tar
from picture_pools import URLS, decode, opened, pictures_in, pool_of, slow_server, thumbnail
from PIL import Image

from vtsearch.data.locate import ImageLocator
from vtsearch.data.selection import select_images
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.serve.errors import Overloaded, TooLarge
from vtsearch.serve.pictures import PictureSource


@pytest.fixture(scope="module")
def pool():
    with pool_of() as pool:
        yield pool


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def source(folder):
    return pictures_in(folder)


@pytest.fixture
def slow():
    with slow_server() as server:
        yield server


@pytest.mark.parametrize(
    ("name", "side", "size"),
    [
        ("large.jpg", 64, (48, 64)),
        ("large.jpg", 512, (384, 512)),
        ("large.jpg", 2048, (1200, 1600)),
        ("wide.png", 256, (256, 85)),
        ("small.png", 64, (32, 20)),
    ],
)
def test_a_thumbnail_is_upright_within_its_side_and_never_enlarged(pool, source, name, side, size):
    image = thumbnail(pool, source, name, side)
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)


def test_a_thumbnail_shows_the_image(pool, source, folder):
    assert np.abs(np.asarray(thumbnail(pool, source, "small.png"), int) - (255, 0, 0)).max() < 8
    half = np.zeros((100, 200, 3), np.uint8)
    half[:, 100:] = 255
    Image.fromarray(half).save(folder / "half.png")
    shown = np.asarray(thumbnail(pool, source, "half.png"), int)
    assert shown.shape == (32, 64, 3)
    assert (shown[:, :30].max(), shown[:, 34:].min()) == (pytest.approx(0, abs=8), pytest.approx(255, abs=8))


@pytest.mark.parametrize("side", [63, 2049, 0, -1])
def test_other_sides_are_refused(pool, source, side):
    with pytest.raises(ValueError, match=rf"side: expected 64 to 2048, got {side}"):
        asyncio.run(pool.thumbnail(source, "small.png", side))


def test_images_are_found_wherever_an_index_has_them(pool, tmp_path):
    write_tar(tmp_path / "a.tar", {"1.png": encoded(1)})
    write_parquet(tmp_path / "a.parquet", [encoded(1)])
    for kind, name in (("tars", "a.tar/1.png"), ("parquet", "a.parquet/0")):
        assert thumbnail(pool, PictureSource({kind: str(tmp_path)}), name).size == (24, 20)
    digits = select_images(["digits"])
    name = digits.source.id(int(digits.positions[0]))
    assert thumbnail(pool, PictureSource(digits.description), name).size == (8, 8)


def test_the_source_of_an_index_is_what_locates_its_images(folder, tmp_path):
    description = {"files": str(folder), "backbone": "a model"}
    with Index.create(tmp_path / "index", 8, description=description) as index:
        assert PictureSource.of(index) == PictureSource({"files": str(folder)}, None, str(tmp_path / "index"))
        moved = PictureSource.of(index, tmp_path)
    assert (moved.root, moved) == (str(tmp_path), PictureSource.of(Index.open(tmp_path / "index"), str(tmp_path)))


def test_images_that_have_moved_are_found_in_their_new_folder(pool, source, folder, tmp_path):
    folder.rename(tmp_path / "new")
    source = source.description
    assert thumbnail(pool, PictureSource(source, root=str(tmp_path / "new")), "small.png").size == (32, 20)
    with pytest.raises(VtsearchError, match=r"index: its images were in .*--images FOLDER"):
        thumbnail(pool, PictureSource(source), "small.png")
    with pytest.raises(FileNotFoundError, match="images: no such folder"):
        thumbnail(pool, PictureSource(source, root=str(tmp_path / "nowhere")), "small.png")


@pytest.mark.parametrize(
    "name", ["gone.png", "damaged.png", "", "\0", "\ud800.png", "<img src=x onerror=y>", "x" * 5000]
)
def test_an_error_is_that_of_the_locator_word_by_word(pool, source, folder, name):
    (folder / "damaged.png").write_bytes((folder / "small.png").read_bytes()[:60])
    locator = ImageLocator(source.description, index=source.index, confined=True)
    with pytest.raises(VtsearchError) as expected:
        locator.load_reduced(name, 64)
    with pytest.raises(VtsearchError) as met:
        thumbnail(pool, source, name)
    assert str(met.value) == str(expected.value)


def test_no_id_leads_outside_the_folder(pool, source, folder):
    Image.new("RGB", (5, 5)).save(folder.parent / "secret.png")
    (folder / "link.png").symlink_to("../secret.png")
    for name in ("../secret.png", "x/../../secret.png", str(folder.parent / "secret.png"), "link.png", "/etc/passwd"):
        with pytest.raises(VtsearchError, match=r"leads outside the images' folder|no image"):
            thumbnail(pool, source, name)


def test_an_index_without_images_is_named(pool):
    with pytest.raises(VtsearchError, match="codes: the index does not say where its images are"):
        thumbnail(pool, PictureSource({}, index="codes"), "a.png")


def test_a_thumbnail_is_of_the_file_as_it_is_now(pool, source, folder):
    assert thumbnail(pool, source, "small.png").size == (32, 20)
    Image.new("RGB", (10, 11)).save(folder / "small.png")
    assert thumbnail(pool, source, "small.png").size == (10, 11)


# ---------------------------------------------------------------------------------------------------------------------
# Many requests


def test_many_requests_at_once_get_their_own_answers(folder, source):
    for width in range(1, 41):
        Image.new("RGB", (width, 50)).save(folder / f"{width}.png")

    async def ask(pool):
        widths = [1 + at % 40 for at in range(200)]
        found = await asyncio.gather(*(pool.thumbnail(source, f"{width}.png", 64) for width in widths))
        assert [opened(content).width for content in found] == widths

    with pool_of(2) as pool:
        asyncio.run(ask(pool))
        assert pool.pending == 0


def test_more_than_may_wait_are_refused(slow, source):
    async def ask(pool):
        asked = [asyncio.create_task(pool.thumbnail(URLS, slow.url, 64)) for _ in range(3)]
        await asyncio.sleep(0)
        assert pool.pending == 3
        with pytest.raises(Overloaded, match="3 requests wait already; try again later"):
            await pool.thumbnail(source, "small.png", 64)
        slow.answer.set()
        await asyncio.gather(*asked)
        await pool.thumbnail(source, "small.png", 64)

    with pool_of(waiting=2) as pool:
        asyncio.run(ask(pool))


def test_a_request_that_nobody_waits_for_any_more_keeps_no_place(slow, source):
    async def ask(pool):
        begun, waiting = [asyncio.create_task(pool.thumbnail(URLS, slow.url, 64)) for _ in range(2)]
        assert await asyncio.to_thread(slow.asked.wait, 10)
        for task in (begun, waiting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert pool.pending == 1  # it has begun, and holds its process until it is done
        slow.answer.set()
        assert opened(await pool.thumbnail(source, "small.png", 64)).size == (32, 20)

    with pool_of() as pool:
        asyncio.run(ask(pool))
        assert pool.pending == 0


# ---------------------------------------------------------------------------------------------------------------------
# Uploads


def test_an_upload_of_too_many_pixels_is_refused_and_an_image_of_the_index_is_not(folder, source):
    with pool_of(most_pixels=640) as pool:
        assert decode(pool, (folder / "small.png").read_bytes()).shape == (20, 32, 3)
        with pytest.raises(
            TooLarge, match=r"cannot read image upload\.png: expected at most 640 pixels, got 300 x 100"
        ):
            decode(pool, (folder / "wide.png").read_bytes())
        assert thumbnail(pool, source, "wide.png").size == (64, 21)


@pytest.mark.parametrize(
    "upload", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\xff" * 1000]
)
def test_what_is_no_image_is_refused(pool, upload):
    with pytest.raises(VtsearchError, match=r"images: cannot read image upload\.png: not an image of a kind"):
        decode(pool, upload)


def test_pixels_of_an_upload_may_be_written_to(pool):
    pixels = decode(pool, encoded(1))
    pixels[0, 0] = 7
    assert (pixels.dtype, pixels.shape) == (np.uint8, (20, 24, 3))
