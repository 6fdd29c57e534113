from __future__ import annotations

import shutil

import numpy as np
import pytest
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
