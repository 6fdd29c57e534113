"""What a folder of images holds: which files are taken, what is left out and counted, what its subfolders are."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from vtsearch.data import open_folder, open_image_folder
from vtsearch.data.locate import ImageLocator
from vtsearch.data.selection import select_images
from vtsearch.data.sources import folder_scan
from vtsearch.data.sources.folder_scan import describe, look_into, suffixes_read


def fill(root, names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        kind = {".jfif": "jpeg", ".jp2": "jpeg2000"}.get((root / name).suffix, "png")
        Image.new("RGB", (6, 5), (number, 0, 0)).save(root / name, kind)
    return root


def ids(selection):
    return [selection.source.id(int(position)) for position in selection.positions]


def test_every_kind_of_image_that_pillow_decodes_is_taken(tmp_path):
    names = ["a.jfif", "b.JP2", "c.png", "d.jpe"]
    selection = select_images([str(fill(tmp_path, names))])
    assert ids(selection) == names
    assert selection.remarks == ()
    assert {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".jp2"} <= suffixes_read()


def test_what_is_not_taken_is_counted(tmp_path):
    fill(tmp_path, ["a.png", ".hidden.png"])
    for name in ("b.heic", "c.HEIC", "notes.txt", "README"):
        (tmp_path / name).write_text("x")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    selection = select_images([str(tmp_path)])
    assert ids(selection) == ["a.png"]
    (remark,) = selection.remarks
    assert remark.startswith(
        f"{tmp_path}: left out what is not an image of a kind that is read here: 6 files: 2 .heic, "
    )
    for part in ("1 hidden image", "1 .txt", "1 without suffix", "1 broken link or special file"):
        assert part in remark


def test_links_to_folders_inside_a_class_are_counted_and_not_followed(tmp_path):
    root = fill(tmp_path / "photos", ["cat/a.png", "dog/b.png"])
    (root / "cat/loop").symlink_to(root)
    source = open_image_folder(root)
    assert len(source) == 2
    assert "1 link to a folder" in source.remarks[0]


def test_many_kinds_are_summed_up():
    assert describe(Counter({f".{number}": 2 for number in range(12)})).endswith("2 .7, and 4 more kinds")
    assert describe(Counter()) == ""


def test_images_beside_subfolders_are_encoded_too_without_labels(tmp_path):
    root = fill(tmp_path, [*(f"{number}.png" for number in range(3)), "sub/1.png"])
    selection = select_images([str(root)])
    assert ids(selection) == ["0.png", "1.png", "2.png", "sub/1.png"]
    assert not selection.labelled
    (remark,) = selection.remarks
    assert remark.startswith(f"{root}: 3 images lie beside the subfolders, so these are not taken for classes: ")
    assert remark.endswith("all 4 images are taken, without labels")
    assert np.asarray(ImageLocator(selection.description, ids(selection)).load(3))[0, 0, 0] == 3


def test_images_beside_classes_are_left_out_of_a_labelled_source_with_their_number(tmp_path):
    root = fill(tmp_path, ["x.png", "y.png", "cat/1.png", "dog/1.png"])
    source = open_image_folder(root)
    assert len(source) == 2
    assert source.remarks == (f"{root}: left out 2 images beside the subfolders, which have no class",)


@pytest.mark.parametrize("parts", [("train", "val", "test"), ("Train", "Test"), ("train",)])
def test_parts_of_a_split_are_not_classes(tmp_path, parts):
    root = fill(tmp_path, [f"{part}/{number}.png" for part in parts for number in range(2)])
    with pytest.raises(ValueError, match=r"are parts of a split, not classes: give one of them, such as .*(rain|est)"):
        open_image_folder(root)
    selection = select_images([str(root)])
    assert len(selection.positions) == 2 * len(parts)
    assert not selection.labelled
    assert "are parts of a split, not classes: all " in selection.remarks[0]


def test_a_folder_around_the_classes_is_not_the_one_class(tmp_path):
    root = fill(tmp_path, ["photos/cat/1.png", "photos/dog/1.png"])
    message = "the one subfolder photos holds the folders cat, dog, which look like the classes"
    with pytest.raises(ValueError, match=rf"{message}: give {root / 'photos'}"):
        open_image_folder(root)
    selection = select_images([str(root)])
    assert (ids(selection), selection.labelled) == (["photos/cat/1.png", "photos/dog/1.png"], False)
    assert selection.remarks == (f"{root}: {message}: all 2 images are taken, without labels",)
    assert open_image_folder(root / "photos").classes == ("cat", "dog")


def test_one_class_is_encoded_and_not_trained_on(tmp_path):
    root = fill(tmp_path, ["cat/1.png", "cat/2.png"])
    assert select_images([str(root)]).source.classes == ("cat",)
    with pytest.raises(ValueError, match="expected images of two classes or more, got one, 'cat'"):
        open_folder(root)


def test_a_folder_beside_images_without_an_image_in_it_is_no_class(tmp_path):
    root = fill(tmp_path, ["1.png"])
    (root / "docs").mkdir()
    (root / "docs/a.txt").write_text("x")
    selection = select_images([str(root)])
    assert (ids(selection), selection.labelled) == (["1.png"], False)
    assert "1 files: 1 .txt" in selection.remarks[0]


def test_a_class_with_other_files_only_says_which(tmp_path):
    root = fill(tmp_path, ["cat/1.png"])
    (root / "dog").mkdir()
    (root / "dog/1.heic").write_text("x")
    with pytest.raises(ValueError, match=r"dog: expected images, got none, but 1 files: 1 .heic"):
        open_image_folder(root)


def test_a_folder_without_images_says_what_it_has(tmp_path):
    (tmp_path / "a.heic").write_text("x")
    with pytest.raises(ValueError, match=r"images: expected images or subfolders .*, got none; .*: 1 files: 1 .heic"):
        select_images([str(tmp_path)])
    with pytest.raises(ValueError, match="expected one subfolder of images per class, got 1 images beside each other"):
        open_image_folder(fill(tmp_path, ["a.png"]))


def test_names_that_differ_in_case_are_told(tmp_path):
    root = fill(tmp_path, ["Cat/1.png", "cat/1.png", "dog/1.png"])
    if not (root / "Cat").is_dir() or len(list(root.iterdir())) < 3:
        pytest.skip("this file system does not tell case apart")
    assert "names that differ only in case are different classes: 'Cat' and 'cat'" in open_image_folder(root).remarks[0]


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    root, scandir = fill(tmp_path, ["cat/deep/1.png", "dog/1.png"]), os.scandir

    def refuse(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(folder_scan.os, "scandir", refuse)
    with pytest.raises(PermissionError, match="cat/deep"):
        look_into(root)
