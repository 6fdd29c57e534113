"""Outputs that cannot be written are refused before the first image, and other writers are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vtsearch import VtsearchError
from vtsearch._atomic_io import writer_lock
from vtsearch.cli import main
from vtsearch.data.selection import select_images
from vtsearch.encoding import Encoder
from vtsearch.encoding.output import check_output, claimed
from vtsearch.encoding.shard import encode_shard
from vtsearch.index import Index
from vtsearch.models import save_model


def refused(output, error, message, **options):
    with pytest.raises(error, match=message):
        check_output(Path(output), overwrite=options.pop("overwrite", False))


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("name", [".", "..", "../..", "../here", "/"])
def test_the_current_folder_and_those_above_are_refused(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    refused(name, ValueError, r"output: expected the name of a new folder, got .*, which the command runs in")


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a mount point")
def test_a_mount_point_is_refused():
    refused("/dev/shm", ValueError, r"output: expected a new folder, got /dev/shm, a mount point; name")


@pytest.mark.parametrize("name", ["x" * 300, "y" * 256, "new/" + "ä" * 140])
def test_a_name_that_is_too_long_is_refused(tmp_path, name):
    refused(tmp_path / name, ValueError, r"output: expected a name of at most \d+ bytes, got (300|256|280)")


def test_the_longest_name_is_taken(tiny_model, photos, tmp_path):
    output = tmp_path / ("n" * 255)
    encode_shard(Encoder(tiny_model), select_images([str(photos / "00.png"), str(photos / "01.png")]), output)
    with Index.open(output) as index:
        assert len(index) == 2
    assert hidden(tmp_path) == []


def test_a_dangling_link_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for overwrite in (False, True):
        message = r"output: expected a folder, got .*link, a link to .*nowhere, which is missing"
        refused(tmp_path / "link", ValueError, message, overwrite=overwrite)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    refused(tmp_path / "circle", ValueError, r"a link to .*circle, which is missing")


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    refused(tmp_path / os.fsdecode(b"index \xe9"), ValueError, r"output: expected a name in UTF-8, got .*index \\udce9")


@pytest.mark.skipif(not os.path.ismount("/proc"), reason="needs a folder that nobody can write to")
@pytest.mark.parametrize("name", ["/proc/new", "/proc/new/deeper"])
def test_a_folder_that_cannot_be_written_to_is_refused(name):
    with (
        pytest.raises(OSError, match=rf"output: cannot create {name}"),
        claimed(Path(name), overwrite=False),
    ):
        pass


WITHOUT_RIGHTS = """
import os, pathlib, sys
from vtsearch.encoding.output import check_output
if os.geteuid() == 0:
    os.setuid(65534)
for name in ("new", "new/deeper"):
    try:
        check_output(pathlib.Path(sys.argv[1], name), overwrite=False)
    except OSError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == tmp_path.owner() and folder.stat().st_mode & 0o777 == 0o700:  # as pytest makes them
            folder.chmod(0o755)
    locked.chmod(0o555)
    words = [sys.executable, "-c", WITHOUT_RIGHTS, str(locked)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [
        f"output: cannot create {locked / 'new'}: Permission denied",
        f"output: cannot create {locked / 'new/deeper'}: expected a folder to write to, got {locked}",
    ]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(tmp_path / "file", FileExistsError, r"output: .*file exists")
    refused(tmp_path / "file", FileExistsError, r"output: expected an index to overwrite", overwrite=True)
    refused(tmp_path / "file/new", OSError, r"output: cannot create .*file/new")


def test_a_check_leaves_nothing(tmp_path):
    check_output(tmp_path / "new", overwrite=False)
    check_output(tmp_path / "deep/er", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(tiny_model, photos, tmp_path):
    (tmp_path / "index").mkdir()
    assert encode_shard(Encoder(tiny_model), select_images([str(photos)]), tmp_path / "index").items == 50


@pytest.fixture
def model(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "model")
    return tmp_path / "model"


def test_the_target_of_a_link_is_replaced_and_the_link_stays(model, photos, tmp_path, capsys):
    Index.create(tmp_path / "target", 8).close()
    (tmp_path / "link").symlink_to("target")
    words = ["encode", str(photos), "--model", str(model), "--output", str(tmp_path / "link")]
    assert main(words) == 2
    assert "choose another folder, or --overwrite it" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").readlink() == Path("target")
    with Index.open(tmp_path / "target") as index:
        assert len(index) == 50
    assert hidden(tmp_path) == []


def test_another_writer_is_named_and_nothing_is_touched(model, photos, tmp_path, capsys):
    Index.create(tmp_path / "index", 8).close()
    words = ["encode", str(photos), "--model", str(model), "--output", str(tmp_path / "index"), "--overwrite"]
    with writer_lock(tmp_path / "index"):
        assert main(words) == 2
        assert f"one writer at a time, this process (pid {os.getpid()} on " in capsys.readouterr().err
        assert hidden(tmp_path) == [".index.lock"]
    with Index.open(tmp_path / "index") as index:
        assert index.bits == 8
    assert main(words) == 0


def test_an_image_named_twice_is_refused_before_the_first(model, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Encoder, "batches", None)
    picture = str(photos / "01.png")
    words = ["encode", picture, str(photos / "02.png"), picture, "--model", str(model), "--output"]
    assert main([*words, str(tmp_path / "index")]) == 2
    assert f"images: expected different images, got {picture} twice" in capsys.readouterr().err
    assert not (tmp_path / "index").exists()
    assert hidden(tmp_path) == []


def test_the_output_is_refused_before_the_first_image(model, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Encoder, "batches", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    for output in (".", "link", "z" * 300, "/dev/shm"):
        assert main(["encode", str(photos), "--model", str(model), "--output", output]) == 2
        assert capsys.readouterr().err.startswith("vtsearch encode: output: expected ")


def test_codes_of_no_images_are_an_index_of_no_items(tiny_model, photos, tmp_path):
    selection = select_images([str(photos)])
    none = type(selection)(selection.source, np.empty(0, np.int64), selection.description, labelled=False)
    assert encode_shard(Encoder(tiny_model), none, tmp_path / "index") == (0, 0)


def test_an_error_names_a_folder_that_cannot_be_made(tiny_model, photos):
    with pytest.raises((OSError, VtsearchError), match="output: cannot create /proc/new"):
        encode_shard(Encoder(tiny_model), select_images([str(photos)]), Path("/proc/new"))
