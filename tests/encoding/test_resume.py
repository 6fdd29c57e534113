"""Encodings that are interrupted, and continued by the same call."""

from __future__ import annotations

import contextlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from vtsearch._atomic_io import place_folder
from vtsearch.data.selection import select_images
from vtsearch.encoding import Encoder, chunks
from vtsearch.encoding.chunked_encoding import SavePolicy
from vtsearch.encoding.shard import encode_shard
from vtsearch.errors import VtsearchError
from vtsearch.index import Index

EVERY_BATCH = SavePolicy(images=1)


class Progress:
    """Collects the reports, and interrupts after some batches."""

    def __init__(self, stop_after=None):
        self.notes, self.done, self.total, self.batches = [], None, None, 0
        self._stop_after = stop_after

    def start(self, done, total):
        self.done, self.total = done, total

    def advance(self, images, seconds):
        self.batches += 1
        if self.batches == self._stop_after:
            raise KeyboardInterrupt

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def encode(tiny_model, photos, tmp_path):
    """Encode the photos, 8 in a batch; returns what was reported."""
    encoder = Encoder(tiny_model, batch_size=8)

    def run(name="index", *, save=EVERY_BATCH, stop_after=None, encoder=encoder, progress=None, **options):
        progress = progress or Progress(stop_after)
        images = select_images([str(photos)])
        with contextlib.suppress(KeyboardInterrupt):
            encode_shard(encoder, images, tmp_path / name, save=save, progress=progress, **options)
        return progress

    return run


def content(folder):
    """Everything in an index that decides an answer."""
    with Index.open(folder) as index:
        index.verify()
        return (index.codes().tobytes(), index.ids(), index.labels(), index.fingerprints, index.description)


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("stop_after", [1, 3, 7])
def test_an_interrupted_encoding_continues_to_the_same_index(encode, tmp_path, stop_after):
    encode("whole")
    assert encode(stop_after=stop_after).done == 0
    assert not (tmp_path / "index").exists()
    assert hidden(tmp_path) == [".index.encode"]
    rest = encode()
    done = min(8 * stop_after, 50)
    assert (rest.done, rest.total) == (done, 50)
    assert rest.notes == [f"continuing: {done} of 50 images are encoded already"]
    assert rest.batches == 7 - stop_after
    assert content(tmp_path / "index") == content(tmp_path / "whole")
    assert hidden(tmp_path) == []


def test_an_interruption_saves_what_is_not_yet_saved(encode):
    encode(save=SavePolicy(), stop_after=3)
    assert encode().done == 24


def test_codes_are_saved_after_seconds_or_images(encode, tmp_path):
    saved = tmp_path / ".index.encode/chunks"
    for save, chunk_starts in ((SavePolicy(seconds=0), [0, 8]), (SavePolicy(images=9), [0])):
        encode(save=save, stop_after=2)
        assert [int(path.stem) for path in sorted(saved.iterdir())] == chunk_starts
        encode()
        (tmp_path / "index").rename(tmp_path / f"index {save.images}")


@pytest.mark.parametrize(("values", "name"), [({"images": 0}, "images"), ({"seconds": -1.0}, "seconds")])
def test_a_policy_out_of_range_is_refused(values, name):
    with pytest.raises(ValueError, match=f"save_{name}: expected at least"):
        SavePolicy(**values)


def test_other_batch_sizes_continue_to_the_same_codes(encode, tiny_model, tmp_path):
    encode("whole")
    encode(stop_after=2)
    assert encode(encoder=Encoder(tiny_model, batch_size=128)).done == 16
    assert content(tmp_path / "index") == content(tmp_path / "whole")


def test_codes_of_another_model_are_not_continued(encode, tiny_model, tmp_path):
    encode(stop_after=2)
    with torch.no_grad():
        next(tiny_model.parameters()).add_(1)
    rest = encode()
    assert (rest.done, rest.notes) == (0, ["starting anew: the codes of an interrupted run are of another model"])
    encode("whole")
    assert content(tmp_path / "index") == content(tmp_path / "whole")


def test_images_that_have_changed_are_encoded_again(encode, photos, tmp_path):
    encode(stop_after=4)
    Image.new("RGB", (30, 30), (250, 10, 10)).save(photos / "12.png")
    rest = encode()
    assert rest.done == 24
    assert rest.notes == [
        "continuing: 24 of 50 images are encoded already",
        "8 more codes are not used: among their images some have changed",
    ]
    assert rest.batches == 1 + 3
    encode("whole")
    assert content(tmp_path / "index") == content(tmp_path / "whole")


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_more_and_fewer_images_continue(encode, photos, tmp_path, change):
    encode(stop_after=7)
    if change == "more":
        Image.new("RGB", (30, 30)).save(photos / "99.png")
    else:
        (photos / "49.png").unlink()
    assert encode().done == 48  # the last two images stood in a pass that is filled up
    encode("whole")
    assert content(tmp_path / "index") == content(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "foreign"])
def test_a_damaged_chunk_is_encoded_again(encode, tmp_path, damage):
    encode("whole")
    encode(stop_after=3)
    path = tmp_path / ".index.encode/chunks/000000000008.npz"
    raw = bytearray(path.read_bytes())
    at = raw.index(np.lib.format.magic(1, 0), raw.index(b"codes")) + 128 + 3
    raw[at] ^= 1
    content_of = {"flipped": bytes(raw), "truncated": bytes(raw[:-40]), "empty": b"", "foreign": b"hello" * 99}
    path.write_bytes(content_of[damage])
    assert encode().done == 16
    assert content(tmp_path / "index") == content(tmp_path / "whole")


def test_leftovers_of_a_killed_writer_are_deleted(encode, tmp_path):
    encode(stop_after=2)
    saved = tmp_path / ".index.encode"
    (saved / "chunks/.000000000016.npz.77-0123456789ab.tmp").write_bytes(b"half")
    (saved / ".record.json.77-0123456789ab.tmp").write_bytes(b"half")
    half = tmp_path / ".index.77-0123456789ab.tmp"
    half.mkdir()
    (half / "index.sqlite").write_bytes(b"half")
    encode()
    assert hidden(tmp_path) == []


def test_files_of_others_in_the_work_folder_stay(encode, tmp_path):
    (tmp_path / ".index.encode").mkdir()
    (tmp_path / ".index.encode/diary.txt").write_text("mine")
    encode()
    assert (tmp_path / ".index.encode/diary.txt").read_text() == "mine"
    assert [path.name for path in (tmp_path / ".index.encode").iterdir()] == ["diary.txt"]


def test_a_kill_after_the_exchange_leaves_nothing_to_do(encode, tmp_path, monkeypatch):
    interrupt_when_placed(monkeypatch)
    encode()
    monkeypatch.undo()
    expected = content(tmp_path / "index")
    assert hidden(tmp_path) == [".index.encode"]
    with pytest.raises(FileExistsError, match=r"output: .*index exists"):
        encode()
    assert hidden(tmp_path) == []
    assert content(tmp_path / "index") == expected


def test_the_codes_of_a_finished_run_serve_an_overwrite(encode, tmp_path, monkeypatch):
    interrupt_when_placed(monkeypatch)
    encode()
    monkeypatch.undo()
    expected = content(tmp_path / "index")
    assert encode(overwrite=True).done == 50
    assert content(tmp_path / "index") == expected
    assert hidden(tmp_path) == []


def interrupt_when_placed(monkeypatch):
    def place(fresh, target):
        place_folder(fresh, target)
        raise KeyboardInterrupt

    monkeypatch.setattr("vtsearch.encoding.shard.place_folder", place)


def test_an_index_that_appeared_meanwhile_is_not_replaced(encode, tmp_path, monkeypatch):
    def made_by_another(chunk_folder, chunk, write=chunks.write_chunk):
        if not (tmp_path / "index").exists():
            Index.create(tmp_path / "index", 8).close()
        write(chunk_folder, chunk)

    monkeypatch.setattr("vtsearch.encoding.work_folder.write_chunk", made_by_another)
    with pytest.raises(FileExistsError, match="made by another process meanwhile and is as it was; the codes are"):
        encode()
    with Index.open(tmp_path / "index") as index:
        assert (len(index), index.bits) == (0, 8)
    assert encode(overwrite=True).done == 50
    with Index.open(tmp_path / "index") as index:
        assert (len(index), index.bits) == (50, 12)
    assert hidden(tmp_path) == []


def test_a_folder_that_appeared_meanwhile_is_never_replaced(encode, tmp_path, monkeypatch):
    encode()

    def made_by_another(chunk_folder, chunk, write=chunks.write_chunk):
        write(chunk_folder, chunk)
        shutil.rmtree(tmp_path / "index")
        (tmp_path / "index").mkdir()
        (tmp_path / "index/diary.txt").write_text("mine")

    monkeypatch.setattr("vtsearch.encoding.work_folder.write_chunk", made_by_another)
    with pytest.raises(FileExistsError, match="expected an index to overwrite"):
        encode(overwrite=True)
    assert (tmp_path / "index/diary.txt").read_text() == "mine"


def test_a_full_disk_keeps_what_is_saved(encode, tmp_path, monkeypatch):
    def full(chunk_folder, chunk, write=chunks.write_chunk):
        if chunk.start >= 16:
            raise OSError(28, "No space left on device", str(chunk_folder))
        write(chunk_folder, chunk)

    monkeypatch.setattr("vtsearch.encoding.work_folder.write_chunk", full)
    with pytest.raises(OSError, match="No space left"):
        encode()
    monkeypatch.undo()
    assert encode().done == 16


def test_images_whose_folder_has_gone_are_not_skipped(encode, photos, tmp_path):
    class Moves(Progress):
        def advance(self, images, seconds):
            super().advance(images, seconds)
            if self.batches == 2:
                photos.rename(tmp_path / "elsewhere")

    with pytest.raises(FileNotFoundError, match=r"photos is no longer the folder that it was; the codes so far are"):
        encode(progress=Moves())
    (tmp_path / "elsewhere").rename(photos)
    assert encode().done == 16


def test_the_record_names_what_made_the_codes(encode, tmp_path, tiny_model):
    encode(stop_after=1)
    record = json.loads((tmp_path / ".index.encode/record.json").read_text())
    assert record == {"format": 3, **Encoder(tiny_model).fingerprints}
    assert [path.name for path in (tmp_path / ".index.encode/chunks").iterdir()] == ["000000000000.npz"]


def test_a_strict_run_refuses_what_an_earlier_one_has_skipped(encode, photos):
    (photos / "03.png").write_text("hello")
    encode(stop_after=2)
    with pytest.raises(VtsearchError, match=r"03\.png"):
        encode(strict=True)
