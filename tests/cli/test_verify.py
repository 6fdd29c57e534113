"""``vtsearch info FOLDER --verify``: exit code 0, or 2 with one line that names the damaged file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vtsearch.cli import main
from vtsearch.index import Index


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "index", 8) as index:
        index.add(np.arange(5, dtype=np.uint8)[:, None], labels=[0, 1, 0, 1, 0])
        index.add(np.arange(3, dtype=np.uint8)[:, None], labels=[1, 1, 1])
    return tmp_path / "index"


def test_an_index_as_it_was_written_is_verified(index, capsys):
    assert main(["info", str(index), "--verify"]) == 0
    assert "verified" in capsys.readouterr().out
    assert main(["info", str(index), "--verify", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["items"], facts["verified"]) == (8, "index.sqlite and 4 files: as written")


@pytest.mark.parametrize(("part", "behind"), [("codes", 1), ("items", 1)])
def test_a_damaged_file_is_named_in_one_line(index, part, behind, capsys):
    path = min((index / part).iterdir())
    content = bytearray(path.read_bytes())
    content[-behind] ^= 1
    path.write_bytes(content)
    assert main(["info", str(index)]) == 0
    capsys.readouterr()
    assert main(["info", str(index), "--verify"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"vtsearch info: {path}: expected sha256")


def test_a_damaged_database_is_named_without_verify(index, capsys):
    path = index / "index.sqlite"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"single"', b'"sinGle"'))
    assert main(["info", str(index)]) == 2
    assert capsys.readouterr().err == f"vtsearch info: {path}: damaged: its checksum is not that of its rows\n"


@pytest.mark.parametrize("words", [[], ["."]], ids=["nothing", "a folder of another kind"])
def test_other_folders_are_not_verified(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["info", *words, "--verify"]) == 2
    assert "expected" in capsys.readouterr().err
