from __future__ import annotations

import pytest
from PIL import Image

from vtsearch.data import draw_dataset, open_image_folder
from vtsearch.errors import VtsearchError


def fill(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 5), 7).save(root / name)
    return root


def test_subfolders_are_classes_in_order_of_their_names(tmp_path):
    source = open_image_folder(fill(tmp_path, ["owl/b.png", "owl/a.JPG", "cat/deep/c.png", ".hidden/d.png"]))
    assert source.classes == ("cat", "owl")
    assert source.labels.tolist() == [0, 1, 1]
    assert [source.id(position) for position in range(len(source))] == ["cat/deep/c.png", "owl/a.JPG", "owl/b.png"]
    assert source.load(0).mode == "RGB"


def test_other_files_are_ignored(tmp_path):
    root = fill(tmp_path, ["cat/a.png", "dog/b.png"])
    for name in ("cat/notes.txt", "cat/.a.png", "readme.md"):
        (root / name).write_text("x")
    assert len(open_image_folder(root)) == 2


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none: expected a folder"):
        open_image_folder(tmp_path / "none")


def test_a_folder_without_classes_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected one subfolder of images per class, got none"):
        open_image_folder(tmp_path)


def test_a_class_without_images_is_named(tmp_path):
    (fill(tmp_path, ["cat/a.png"]) / "dog").mkdir()
    with pytest.raises(ValueError, match=r"dog: expected images, got none$"):
        open_image_folder(tmp_path)


def test_a_damaged_image_is_named(tmp_path):
    root = fill(tmp_path, ["cat/a.png"])
    (root / "cat/a.png").write_bytes(b"no image")
    with pytest.raises(VtsearchError, match=r"cannot read image .*a\.png"):
        open_image_folder(root).load(0)


def test_a_protocol_can_be_drawn_from_the_users_images(tmp_path):
    root = fill(tmp_path, [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(5)])
    data = draw_dataset(open_image_folder(root), name="pets", queries_per_class=1, train_per_class=2, k=10)
    assert [len(part) for part in (data.split.query, data.split.train, data.split.database)] == [2, 4, 8]
    assert (data.protocol.name, data.protocol.k) == ("pets", 10)
    with pytest.raises(ValueError, match="pets: class 'cat' has 5 images, and 9 are needed"):
        draw_dataset(open_image_folder(root), name="pets", queries_per_class=4, train_per_class=5)
