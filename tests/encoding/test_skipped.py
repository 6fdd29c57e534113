"""Images that cannot be read: skipped and listed, or refused; their neighbours keep their codes."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from vtsearch import VtsearchError
from vtsearch.cli import main
from vtsearch.data.loading.tolerant_dataset import TolerantDataset
from vtsearch.data.selection import select_images
from vtsearch.data.skipped import SkippedImage, skipped_images
from vtsearch.encoding import Encoder
from vtsearch.encoding.shard import encode_shard
from vtsearch.index import Index
from vtsearch.models import save_model


@pytest.fixture
def encoder(tiny_model):
    return Encoder(tiny_model, batch_size=16)


@pytest.fixture
def damaged(photos):
    """The photos, four of them unreadable: their names."""
    (photos / "03.png").write_bytes((photos / "03.png").read_bytes()[:300])
    (photos / "17.png").write_text("hello")
    (photos / "30.png").write_bytes(b"")
    shutil.copy(photos / "00.png", photos / os.fsdecode(b"photo \xe9.png"))
    return ["03.png", "17.png", "30.png", r"photo \xe9.png"]


def readable_codes(encoder, photos, damaged):
    paths = [path for path in sorted(photos.iterdir()) if path.name not in damaged and path.name.isascii()]
    return paths, encoder.encode(paths)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_bad_images_are_left_out_and_listed(tiny_model, photos, damaged, tmp_path, workers):
    encoder = Encoder(tiny_model, batch_size=16, workers=workers)
    assert encode_shard(encoder, select_images([str(photos)]), tmp_path / "index") == (47, 4)
    paths, codes = readable_codes(encoder, photos, damaged)
    with Index.open(tmp_path / "index") as index:
        assert index.ids() == [path.name for path in paths]
        np.testing.assert_array_equal(index.codes(), codes)
        skipped = skipped_images(index)
    assert [name for name, _ in skipped] == damaged
    assert "truncated" in skipped[0].reason
    assert "cannot read image" in skipped[1].reason
    assert skipped[3] == SkippedImage(damaged[3], "expected a file name in UTF-8, got other bytes; rename the file")


def test_labels_stay_with_their_images(encoder, photos, tmp_path):
    for number, path in enumerate(sorted(photos.iterdir())):
        (photos / "abc"[number % 3]).mkdir(exist_ok=True)
        path.rename(photos / "abc"[number % 3] / path.name)
    (photos / "b/01.png").write_text("hello")
    assert encode_shard(encoder, select_images([str(photos)]), tmp_path / "index") == (49, 1)
    with Index.open(tmp_path / "index") as index:
        assert index.labels().tolist() == ["abc".index(name[0]) for name in index.ids()]


def test_missing_images_of_a_list_are_listed(encoder, photos, tmp_path):
    for suffix, head, line in ((".txt", "", "photos/{} 1\n"), (".csv", "path,label\n", "photos/{},cat\n")):
        table = tmp_path / f"list{suffix}"
        table.write_text(head + "".join(line.format(name) for name in ("00.png", "nowhere.png", "02.png")))
        assert encode_shard(encoder, select_images([str(table)]), tmp_path / f"index{suffix}") == (2, 1)
        with Index.open(tmp_path / f"index{suffix}") as index:
            assert index.ids() == ["photos/00.png", "photos/02.png"]
            assert skipped_images(index) == [("photos/nowhere.png", "No such file or directory")]


def test_other_faults_of_a_list_are_raised(photos, tmp_path):
    (tmp_path / "list.txt").write_text("photos/00.png\n")
    with pytest.raises(ValueError, match=r"list\.txt:1"):
        select_images([str(tmp_path / "list.txt")])


def test_nothing_readable_is_an_error_and_leaves_nothing(encoder, photos, tmp_path):
    for path in photos.iterdir():
        path.write_text("hello")
    with pytest.raises(VtsearchError, match=r"images: none of the 50 images could be read; the first: .*00\.png"):
        encode_shard(encoder, select_images([str(photos)]), tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_strict_stops_at_the_first_and_keeps_the_codes_before_it(encoder, photos, damaged, tmp_path):
    (photos / "03.png").unlink()
    with pytest.raises(VtsearchError, match=r"images: .*17\.png"):
        encode_shard(encoder, select_images([str(photos)]), tmp_path / "index", strict=True)
    assert [path.name for path in (tmp_path / ".index.encode/chunks").iterdir()] == ["000000000000.npz"]


@pytest.fixture
def command(tiny_model, photos, tmp_path):
    save_model(tiny_model, tmp_path / "model")
    return ["encode", str(photos), "--model", str(tmp_path / "model"), "--output", str(tmp_path / "index")]


def test_the_command_counts_them_and_info_lists_them(command, damaged, tmp_path, capsys):
    assert main(command) == 0
    said = capsys.readouterr()
    assert "4 of 51 images could not be read and are not in the index; `vtsearch info " in said.err
    assert "47 codes of 12 bits" in said.out
    assert main(["info", str(tmp_path / "index"), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["images that could not be read"]
    assert list(listed) == damaged
    assert main(["info", str(tmp_path / "index")]) == 0
    text = capsys.readouterr().out
    assert all(f"{name}: " in text for name in damaged)
    assert "skipped" not in text


def test_the_command_is_strict_if_asked(command, damaged, tmp_path, capsys):
    assert main([*command, "--strict"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "03.png" in said
    assert not (tmp_path / "index").exists()


def test_an_index_without_a_list_has_skipped_none(tmp_path):
    with Index.create(tmp_path / "a", 8) as index:
        assert skipped_images(index) == []
    for number, text in enumerate(("[1]", "words", '{"a": 1}', "3")):
        with (
            Index.create(tmp_path / str(number), 8, description={"skipped": text}) as index,
            pytest.raises(VtsearchError, match="expected a list of skipped images"),
        ):
            skipped_images(index)


class Faulty:
    """Images of which some raise."""

    classes = ()

    def __init__(self, errors):
        self._errors, self.labels = errors, np.zeros(4, np.int64)

    def __len__(self):
        return 4

    def load(self, position):
        if position in self._errors:
            raise self._errors[position]
        return Image.new("RGB", (40, 40), (position, 0, 0))

    def id(self, position):
        return f"image {position}"


class FaultyPixels(Faulty):
    def pixels(self, positions):
        return np.stack([np.array(self.load(int(position))).transpose(2, 0, 1) for position in positions])


@pytest.mark.parametrize("source", [Faulty, FaultyPixels])
def test_a_batch_reports_its_faults(tiny_model, source):
    items = TolerantDataset(source({2: VtsearchError("torn\nin two")}), np.array([3, 2, 0]), tiny_model.preprocessing)
    batch = items.__getitems__([1, 2, 0])
    assert batch.faults == [(1, "torn in two")]
    assert batch.rows.tolist() == [1, 2, 0]
    assert batch.facts == [None, None, None]
    assert not batch.images[0].any()
    assert batch.images[2].any()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ESTALE])
def test_errors_of_the_system_are_not_those_of_an_image(tiny_model, number):
    cause = OSError(number, os.strerror(number), "image")
    wrapped = VtsearchError("cannot read image")
    wrapped.__cause__ = cause
    for error in (cause, wrapped):
        items = TolerantDataset(Faulty({1: error}), np.arange(4), tiny_model.preprocessing)
        with pytest.raises(type(error)):
            items.__getitems__([0, 1])


def test_a_position_outside_is_refused(tiny_model):
    with pytest.raises(ValueError, match="positions: expected 0 to 3"):
        TolerantDataset(Faulty({}), np.array([4]), tiny_model.preprocessing)
