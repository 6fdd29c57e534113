from __future__ import annotations

import shutil

import numpy as np
import pytest
from container_files import encoded, write_parquet, write_tar
from dataset_fixtures import FORMATS
from PIL import Image

from vtsearch.data import open_dataset
from vtsearch.data.locate import ImageLocator
from vtsearch.data.selection import select_images
from vtsearch.errors import VtsearchError
from vtsearch.index import Index


@pytest.fixture
def pictures(tmp_path):
    draw = np.random.default_rng(0)
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (tmp_path / "old" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (8, 9, 3), dtype=np.uint8)).save(tmp_path / "old" / name)
    (tmp_path / "list.txt").write_text("cat/2.png 1\ndog/1.png 0\n")
    return tmp_path / "old"


def selected(kind, pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    if kind == "list":
        return select_images([str(pictures.parent / "list.txt")], data=str(pictures))
    return select_images(
        {"folder": [str(pictures)], "flat": [str(pictures / "cat")], "files": ["dog/1.png", "cat/2.png"]}[kind]
    )


def ids_of(selection):
    return [selection.source.id(int(position)) for position in selection.positions]


@pytest.mark.parametrize("kind", ["folder", "flat", "files", "list"])
def test_images_are_found_again_and_where_they_have_moved(kind, pictures, tmp_path, monkeypatch):
    selection = selected(kind, pictures, monkeypatch)
    ids, expected = ids_of(selection), [np.array(selection.source.load(int(at))) for at in selection.positions]
    monkeypatch.chdir(tmp_path)
    locator = ImageLocator(selection.description, ids)
    root = pictures / "cat" if kind == "flat" else pictures
    assert locator.root == root
    assert [locator.path(at) for at in range(len(ids))] == [root / name for name in ids]
    pictures.rename(tmp_path / "new")
    with pytest.raises(VtsearchError, match=rf"codes: its images were in {root}, which does not exist; .*--images"):
        ImageLocator(selection.description, ids, index="codes")
    moved = ImageLocator(selection.description, ids, root=tmp_path / "new" / root.relative_to(pictures))
    for at, image in enumerate(expected):
        np.testing.assert_array_equal(np.array(moved.load(at)), image)


def test_an_image_that_is_gone_is_named(pictures, monkeypatch):
    selection = selected("folder", pictures, monkeypatch)
    locator = ImageLocator(selection.description, ids_of(selection), index="codes")
    (pictures / "cat/2.png").unlink()
    with pytest.raises(VtsearchError, match=rf"codes: no image 'cat/2.png' in {pictures}; .*--images FOLDER"):
        locator.load(1)


def test_an_image_that_cannot_be_read_is_named(pictures, monkeypatch):
    selection = selected("folder", pictures, monkeypatch)
    (pictures / "cat/1.png").write_text("hello")
    with pytest.raises(VtsearchError, match=r"codes: cannot read image .*cat/1\.png"):
        ImageLocator(selection.description, ids_of(selection), index="codes").load(0)


def test_a_protocol_without_files_loads_images_but_has_no_paths():
    selection = select_images(["digits"], part="query")
    locator = ImageLocator(selection.description, ids_of(selection))
    expected = np.array(selection.source.load(int(selection.positions[3])))
    np.testing.assert_array_equal(np.array(locator.load(3)), expected)
    assert locator.root is None
    with pytest.raises(VtsearchError, match="digits has no file for each image"):
        locator.path(0)
    with pytest.raises(VtsearchError, match="item 'nobody' is no longer among its images"):
        ImageLocator(selection.description, ["nobody"]).load(0)


def test_the_images_of_a_protocol_are_found_in_another_folder(tmp_path):
    FORMATS["coco"].build(tmp_path / "old")
    selection = select_images(["mscoco@5000"], data=str(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(VtsearchError, match=rf"its images were in {tmp_path / 'old'}"):
        ImageLocator(selection.description, ids_of(selection))
    locator = ImageLocator(selection.description, ids_of(selection), root=tmp_path / "new")
    assert locator.load(0).size == (24, 24)
    assert locator.path(0).is_relative_to(tmp_path / "new")


def test_the_own_images_of_a_run_are_found_in_another_folder(tmp_path):
    FORMATS["folders"].build(tmp_path / "old")
    data = open_dataset(str(tmp_path / "old"))
    description, ids = {"protocol": data.protocol.name}, [data.source.id(at) for at in range(3)]
    assert ImageLocator(description, ids).load(2).size == (24, 24)
    shutil.move(tmp_path / "old", tmp_path / "new")
    with pytest.raises(VtsearchError, match=rf"its images were in {tmp_path / 'old'}"):
        ImageLocator(description, ids)
    assert ImageLocator(description, ids, root=tmp_path / "new").load(2).size == (24, 24)


def test_an_index_without_images_is_named(tmp_path):
    with (
        Index.create(tmp_path / "index", 8) as index,
        pytest.raises(VtsearchError, match="index: the index does not say where its images are"),
    ):
        ImageLocator.of(index)


def test_a_root_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="images: no such folder"):
        ImageLocator({"files": str(tmp_path)}, [], root=tmp_path / "nowhere")


def test_images_are_found_by_their_ids_alone(pictures, monkeypatch):
    selection = selected("folder", pictures, monkeypatch)
    locator = ImageLocator(selection.description, index="codes")
    assert locator.path_named("dog/1.png") == pictures / "dog/1.png"
    expected = np.array(Image.open(pictures / "dog/1.png"))
    np.testing.assert_array_equal(np.array(locator.load_named("dog/1.png")), expected)
    digits = select_images(["digits"], part="query")
    last, locator = int(digits.positions[-1]), ImageLocator(digits.description)
    expected = np.array(digits.source.load(last))
    for image in (locator.load_named(digits.source.id(last)), locator.load_reduced(digits.source.id(last), 64)):
        np.testing.assert_array_equal(np.array(image), expected)


def test_an_index_is_asked_for_no_more_ids_than_those_of_the_images(pictures, tmp_path, monkeypatch):
    description = {"folder": str(pictures)}
    with Index.create(tmp_path / "index", 8, description=description) as index:
        index.add(np.zeros((2, 1), np.uint8), ids=["dog/1.png", "cat/1.png"])
    monkeypatch.setattr(Index, "ids", None)
    locator = ImageLocator.of(Index.open(tmp_path / "index"))
    assert (locator.id(1), locator.path(0)) == ("cat/1.png", pictures / "dog/1.png")


@pytest.fixture
def secret(tmp_path):
    """An image beside the images' folder."""
    Image.new("RGB", (5, 5)).save(tmp_path / "secret.png")
    return tmp_path / "secret.png"


@pytest.mark.parametrize("way", ["..", "deep", "absolute", "link", "linked folder"])
def test_a_confined_locator_refuses_what_leads_outside_its_root(way, pictures, secret):
    (pictures / "link.png").symlink_to(secret)
    (pictures / "up").symlink_to("..")
    name = {
        "..": "../secret.png",
        "deep": "cat/../../secret.png",
        "absolute": str(secret),
        "link": "link.png",
        "linked folder": "up/secret.png",
    }[way]
    description = {"files": str(pictures)}
    assert ImageLocator(description).load_named(name).size == (5, 5)
    locator = ImageLocator(description, index="codes", confined=True)
    for ask in (locator.load_named, locator.path_named, lambda name: locator.load_reduced(name, 64)):
        with pytest.raises(VtsearchError, match=rf"codes: '{name}' leads outside the images' folder {pictures}"):
            ask(name)


@pytest.mark.parametrize("name", ["\0", "a\0.png", "\ud800", "x" * 5000, "", ".", "..", "/", "cat", "loop/a"])
def test_no_name_gets_more_out_of_a_confined_locator_than_a_sentence(name, pictures):
    (pictures / "loop").symlink_to("loop")
    locator = ImageLocator({"files": str(pictures)}, confined=True)
    with pytest.raises(VtsearchError, match=r"no image|leads outside"):
        locator.load_named(name)


def test_a_confined_locator_follows_what_stays_within_its_root(pictures, tmp_path):
    (pictures / "link.png").symlink_to("cat/1.png")
    (tmp_path / "root").symlink_to(pictures)
    for root in (pictures, tmp_path / "root"):
        locator = ImageLocator({"files": str(root)}, confined=True)
        for name in ("cat/1.png", "link.png", "cat/../dog/1.png", str(pictures / "dog/1.png")):
            assert locator.load_named(name).size == (9, 8)


@pytest.mark.parametrize("kind", ["tars", "parquet"])
def test_files_of_many_images_are_confined_too(kind, pictures, tmp_path):
    name = {"tars": "a.tar", "parquet": "a.parquet"}[kind]
    if kind == "tars":
        write_tar(tmp_path / name, {"0.png": encoded(0)})
    else:
        write_parquet(tmp_path / name, [encoded(0)])
    (pictures / name).symlink_to(tmp_path / name)
    member = {"tars": "0.png", "parquet": "0"}[kind]
    for item in (f"../{name}/{member}", f"{name}/{member}"):
        assert ImageLocator({kind: str(pictures)}).load_named(item).size == (24, 20)
        locator = ImageLocator({kind: str(pictures)}, confined=True)
        for ask in (locator.load_named, lambda name, of=locator: of.load_reduced(name, 64)):
            with pytest.raises(VtsearchError, match=f"'{item}' leads outside the images' folder"):
                ask(item)


@pytest.mark.parametrize("kind", ["protocol", "list"])
def test_a_confined_locator_shows_what_a_list_of_the_owner_names(kind, pictures, secret, tmp_path):
    (pictures / "m.csv").write_text("path,label\ncat/1.png,a\ncat/2.png,a\ndog/1.png,b\n../secret.png,b\n")
    Image.new("RGB", (6, 6)).save(tmp_path / "other.png")
    locator = ImageLocator({kind: str(pictures / "m.csv")}, confined=True)
    assert locator.load_reduced("cat/1.png", 64).size == (9, 8)
    assert locator.load_reduced("../secret.png", 64).size == (5, 5)
    for ask in (locator.load_named, locator.path_named):
        with pytest.raises(VtsearchError, match=r"no longer among its images|leads outside the images' folder"):
            ask("../other.png")


def test_a_large_jpeg_is_decoded_no_larger_than_asked_for(tmp_path):
    image = Image.effect_noise((1600, 1200), 50).convert("RGB")
    turned = image.getexif()
    turned[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=turned)
    locator = ImageLocator({"files": str(tmp_path)})
    assert locator.load_named("a.jpg").size == (1200, 1600)
    assert locator.load_reduced("a.jpg", 200).size == (300, 400)
    assert locator.load_reduced("a.jpg", 700).size == (1200, 1600)
