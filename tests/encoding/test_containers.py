"""Tar and Parquet files of images: encoded, continued after an interruption or a kill, updated, and found again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from container_files import encoded, sample, write_parquet, write_tar
from PIL import Image

from vtsearch.cli import main
from vtsearch.data.locate import ImageLocator
from vtsearch.data.selection import select_images
from vtsearch.data.skipped import skipped_images
from vtsearch.encoding import Encoder
from vtsearch.encoding.chunked_encoding import NoProgress, SavePolicy
from vtsearch.encoding.image_inputs import ImageInputs
from vtsearch.encoding.shard import encode_shard
from vtsearch.encoding.update import IndexUpdate, update_index
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.models import save_model

KINDS = ["tar", "parquet"]


def write(kind, folder, name, numbers, label=lambda number: "ab"[number % 2]):
    """A file NAME.tar or NAME.parquet with a picture per number and its class."""
    if kind == "parquet":
        labels = [label(number) for number in numbers]
        return write_parquet(folder / f"{name}.parquet", [encoded(number) for number in numbers], labels)
    members = {}
    for number in numbers:
        members |= sample(number, label(number))
    return write_tar(folder / f"{name}.tar", members)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def shards(kind, tmp_path):
    """A folder of two files with 20 and 7 images."""
    write(kind, tmp_path / "shards", "one", range(20))
    write(kind, tmp_path / "shards", "two", range(20, 27))
    return tmp_path / "shards"


@pytest.fixture
def encoder(tiny_model):
    return Encoder(tiny_model, batch_size=8)


def content(folder):
    """Id -> code, class name and metadata."""
    with Index.open(folder) as index:
        index.verify()
        labels, classes, metadata = index.labels(), index.classes, index.metadata()
        names = [None] * len(index) if labels is None else [classes[label] for label in labels]
        rows = [{name: values[i] for name, values in metadata.items()} for i in range(len(index))]
        return dict(zip(index.ids(), zip(index.codes().tolist(), names, rows, strict=True), strict=True))


def anew(encoder, shards, folder):
    encode_shard(encoder, select_images([str(shards)]), folder)
    return content(folder)


def ids(kind, name, numbers):
    return [f"{name}.tar/{n:04}.png" if kind == "tar" else f"{name}.parquet/{row}" for row, n in enumerate(numbers)]


def test_a_folder_of_shards_is_encoded_like_the_images_in_it(encoder, kind, shards, tmp_path):
    found = anew(encoder, shards, tmp_path / "index")
    assert list(found) == ids(kind, "one", range(20)) + ids(kind, "two", range(20, 27))
    for number in range(27):
        (tmp_path / f"{number}.png").write_bytes(encoded(number))
    codes = encoder.encode(ImageInputs([tmp_path / f"{number}.png" for number in range(27)]))
    assert [code for code, _, _ in found.values()] == codes.tolist()
    assert [name for _, name, _ in found.values()] == ["ab"[number % 2] for number in range(27)]
    row = list(found.values())[3][2]
    assert (row["bytes"], row["width"], row["height"]) == (len(encoded(3)), 24, 20)
    assert row["place"].endswith(f"/{(shards / f'one.{kind}').stat().st_size}")


def test_files_may_be_named_one_by_one(encoder, kind, shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = select_images([f"shards/two.{kind}", f"shards/one.{kind}"])
    assert images.source.id(0) == f"shards/{ids(kind, 'two', [20])[0]}"
    assert len(images.positions) == 27
    assert dict(images.description) == {"tars" if kind == "tar" else "parquet": str(tmp_path)}
    encode_shard(encoder, images, tmp_path / "index")
    done = update_index(encoder, select_images([f"shards/two.{kind}"]), tmp_path / "index")
    assert done == IndexUpdate(0, 0, 0, 0, 7, 0)  # the other file is there as before: its images stay
    (shards / f"one.{kind}").unlink()
    done = update_index(encoder, select_images([f"shards/two.{kind}"]), tmp_path / "index")
    assert done == IndexUpdate(0, 0, 0, 20, 7, 0)


class Stop(NoProgress):
    """Interrupts after some batches."""

    def __init__(self, batches):
        self._left = batches

    def advance(self, images, seconds):
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("changed", [False, True])
def test_an_interrupted_encoding_continues_unless_the_file_has_changed(encoder, kind, shards, tmp_path, changed):
    images, save, output = select_images([str(shards)]), SavePolicy(images=1), tmp_path / "index"
    with contextlib.suppress(KeyboardInterrupt):
        encode_shard(encoder, images, output, save=save, progress=Stop(2))
    if changed:
        write(kind, shards, "one", [99, *range(1, 20)])
        os.utime(shards / f"one.{kind}", ns=(1, 1))

    class Starts(NoProgress):
        def start(self, done, total):
            self.done = done

    progress = Starts()
    encode_shard(encoder, select_images([str(shards)]), output, save=save, progress=progress)
    assert progress.done == (0 if changed else 16)
    assert content(output) == anew(encoder, shards, tmp_path / "anew")


KILLED = """
import os, signal, sys
from vtsearch.cli import main
from vtsearch.encoding.work_folder import WorkFolder

save = WorkFolder.save

def save_and_die(self, chunk):
    save(self, chunk)
    os.kill(os.getpid(), signal.SIGKILL)

WorkFolder.save = save_and_die
main(sys.argv[1:])
"""


def test_a_killed_command_continues(tiny_model, shards, tmp_path):
    save_model(tiny_model, tmp_path / "model")
    argv = ["encode", "shards", "--model", "model", "--output", "index", "--save-images", "1", "--batch-size", "8"]
    options = {"cwd": tmp_path, "capture_output": True, "text": True}
    assert subprocess.run([sys.executable, "-c", KILLED, *argv], check=False, **options).returncode == -signal.SIGKILL
    assert not (tmp_path / "index").exists()
    ended = subprocess.run([sys.executable, "-m", "vtsearch", *argv], check=False, **options)
    assert ended.returncode == 0
    assert "continuing: 8 of 27 images are encoded already" in ended.stderr
    assert content(tmp_path / "index") == anew(Encoder(tiny_model), shards, tmp_path / "anew")


def test_worker_processes_give_the_same_index(tiny_model, encoder, shards, tmp_path):
    encode_shard(Encoder(tiny_model, batch_size=8, workers=2), select_images([str(shards)]), tmp_path / "index")
    assert content(tmp_path / "index") == anew(encoder, shards, tmp_path / "anew")


def test_an_update_does_what_is_left(encoder, kind, shards, tmp_path):
    output = tmp_path / "index"
    anew(encoder, shards, output)
    before = content(output)
    assert update_index(encoder, select_images([str(shards)]), output) == IndexUpdate(0, 0, 0, 0, 27, 0)
    os.utime(shards / f"two.{kind}", ns=(5, 5))
    assert update_index(encoder, select_images([str(shards)]), output) == IndexUpdate(
        0, 7, 0, 0, 20, 0
    )  # read, not encoded
    write(kind, shards, "two", [20, 21, 77, *range(23, 27), 50])
    write(kind, shards, "three", [80, 81])
    done = update_index(encoder, select_images([str(shards)]), output)
    # of a tar, member 22 is gone and 77 and 50 are new; of a table, row 2 is another image and row 7 is new
    assert done == (IndexUpdate(4, 6, 0, 1, 20, 0) if kind == "tar" else IndexUpdate(3, 7, 0, 0, 20, 0))
    after = content(output)
    assert after == anew(encoder, shards, tmp_path / "anew")
    assert after[ids(kind, "two", [20])[0]][0] == before[ids(kind, "two", [20])[0]][0]


def test_a_file_that_was_renamed_keeps_its_codes(encoder, kind, shards, tmp_path):
    output = tmp_path / "index"
    anew(encoder, shards, output)
    (shards / f"two.{kind}").rename(shards / f"zwei.{kind}")
    assert update_index(encoder, select_images([str(shards)]), output) == IndexUpdate(0, 0, 7, 0, 20, 0)
    assert content(output) == anew(encoder, shards, tmp_path / "anew")


def test_another_label_is_a_change_without_a_new_code(encoder, kind, shards, tmp_path):
    output = tmp_path / "index"
    anew(encoder, shards, output)
    write(kind, shards, "two", range(20, 27), lambda number: "c" if number == 22 else "ab"[number % 2])
    update_index(encoder, select_images([str(shards)]), output)
    assert content(output)[ids(kind, "two", range(20, 23))[2]][1] == "c"


def test_what_is_no_image_is_skipped_with_its_reason(encoder, kind, tmp_path):
    images = [encoded(0), b"text", encoded(2)[:200], encoded(3)]
    if kind == "tar":
        write_tar(tmp_path / "s/a.tar", {f"{row:04}.png": image for row, image in enumerate(images)})
    else:
        write_parquet(tmp_path / "s/a.parquet", [*images[:3], None, images[3]])
    encode_shard(encoder, select_images([str(tmp_path / "s")]), tmp_path / "index")
    skipped = skipped_images(Index.open(tmp_path / "index"))
    names = ids(kind, "a", range(5))
    assert [each.name for each in skipped] == names[1 : 3 if kind == "tar" else 4]
    assert "not an image of a kind that Pillow opens" in skipped[0].reason
    assert "truncated" in skipped[1].reason
    if kind == "parquet":
        assert skipped[2].reason == "a.parquet/3: expected the bytes of an image in img.bytes, got nothing"
    done = update_index(encoder, select_images([str(tmp_path / "s")]), tmp_path / "index")
    assert done == IndexUpdate(0, 0, 0, 0, 2, len(skipped))


def test_equal_ids_are_refused(encoder, tmp_path):
    write_tar(tmp_path / "a.tar", {"1.png": encoded(1), "./1.png": encoded(2)})
    with pytest.raises(ValueError, match=r"images: expected different images, got .*a\.tar/1\.png twice"):
        encode_shard(encoder, select_images([str(tmp_path / "a.tar")]), tmp_path / "index")


def test_images_are_found_again_and_where_they_have_moved(encoder, kind, shards, tmp_path):
    anew(encoder, shards, tmp_path / "index")
    index = Index.open(tmp_path / "index")
    locator = ImageLocator.of(index)
    wanted = np.asarray(Image.open(write_picture(tmp_path / "22.png", 22)).convert("RGB"))
    assert np.array_equal(np.asarray(locator.load(22)), wanted)
    with pytest.raises(VtsearchError, match="is part of a file and has none of its own"):
        locator.path(22)
    shards.rename(tmp_path / "elsewhere")
    with pytest.raises(VtsearchError, match="--images FOLDER"):
        ImageLocator.of(index)
    moved = ImageLocator.of(index, root=tmp_path / "elsewhere")
    assert np.array_equal(np.asarray(moved.load(22)), wanted)
    (tmp_path / "elsewhere" / f"one.{kind}").unlink()
    with pytest.raises(VtsearchError, match=r"no file in .*elsewhere that 'one\..*' is in; .*--images FOLDER"):
        moved.load(0)
    locator = ImageLocator.of(index, root=tmp_path / "elsewhere")
    write_tar(tmp_path / "elsewhere/two.tar", {"a.txt": b"a"})
    write_parquet(tmp_path / "elsewhere/two.parquet", [])
    with pytest.raises(VtsearchError, match="got none"):
        locator.load(22)
    write(kind, tmp_path / "elsewhere", "two", [20])
    with pytest.raises(VtsearchError, match="is no longer in"):
        ImageLocator.of(index, root=tmp_path / "elsewhere").load(22)


def write_picture(path, number):
    path.write_bytes(encoded(number))
    return path


def test_the_command_from_shards_to_a_picture_of_answers(tiny_model, shards, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kind = next(shards.iterdir()).suffix[1:]
    save_model(tiny_model, tmp_path / "model")
    assert main(["encode", "shards", "--model", "model", "--output", "index"]) == 0
    assert main(["encode", "shards", "--model", "model", "--output", "index"]) == 0
    assert "index: 0 added, 0 changed, 0 renamed, 0 removed, 27 unchanged" in capsys.readouterr().out
    name = ids(kind, "two", range(20, 23))[2]
    write_picture(tmp_path / "22.png", 22)
    argv = ["search", "22.png", "--index", "index", "-k", "2", "--json", "--picture", "answers.png"]
    assert main(argv) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["queries"][0]["answers"][0]["id"] == name
    assert "cannot be read" not in said.err
    assert (tmp_path / "answers.png").stat().st_size > 0
    assert main(["encode", "22.png", f"shards/one.{kind}", "--model", "model", "--output", "new"]) == 2
    assert f"expected files of one kind, got 22.png and shards/one.{kind}" in capsys.readouterr().err
