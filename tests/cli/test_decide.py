"""Near-duplicates are decided on by command: a second run is silent, and nothing but the index changes."""

from __future__ import annotations

import csv
import json
import subprocess

import numpy as np
import pytest

from vtsearch.cli import main
from vtsearch.index import Index

CODES = np.array([[0], [1], [3], [255], [254], [60]], np.uint8)
IDS = ["sky.jpg", "sea 2.jpg", "sea.jpg", "rose.jpg", "it's a copy.jpg", "oak.jpg"]


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "index", 8, description={"files": str(tmp_path)}) as index:
        index.add(CODES, IDS, metadata={"bytes": [1, 2, 3, 4, 5, 6]})
    return tmp_path / "index"


def printed(capsys, *words):
    assert main([*map(str, words)]) == 0
    return capsys.readouterr().out


def test_a_second_run_is_silent(index, capsys):
    shown = printed(capsys, "deduplicate", index, "--radius", 1, "--keep", "largest", "--decide").splitlines()
    assert [line.strip() for line in shown[:4]] == ["diameter  id", "2  sea.jpg", "sea 2.jpg", "sky.jpg"]
    again = printed(capsys, "deduplicate", index, "--radius", 1)
    assert again == "0 groups (radius 1, 8 bits); 0 of 6 items could go\n"
    shown = printed(capsys, "deduplicate", index, "--radius", 1, "--answered").splitlines()
    assert shown[0].split() == ["diameter", "id", "said"]
    assert [line.split()[-1] for line in shown[1:4]] == ["keep", "remove", "remove"]
    with Index.open(index) as opened:
        assert len(opened) == 6


def test_decisions_are_made_listed_and_forgotten(index, capsys):
    assert printed(capsys, "decide", index, "keep", "sky.jpg", "sea.jpg") == f"{index}: 2 decisions\n"
    printed(capsys, "decide", index, "distinct", "rose.jpg", "it's a copy.jpg")
    printed(capsys, "decide", index, "remove", "sea 2.jpg")
    assert printed(capsys, "deduplicate", index, "--radius", 1).startswith("0 groups")
    assert printed(capsys, "decide", index).splitlines() == [
        "keep      sky.jpg",
        "keep      sea.jpg",
        "distinct  rose.jpg  it's a copy.jpg",
        "remove    sea 2.jpg",
    ]
    printed(capsys, "decide", index, "forget", "rose.jpg", "sky.jpg")
    assert json.loads(printed(capsys, "decide", index, "--json"))["decisions"] == [
        {"verdict": "keep", "ids": ["sea.jpg"]},
        {"verdict": "remove", "ids": ["sea 2.jpg"]},
    ]
    assert printed(capsys, "deduplicate", index, "--radius", 1).splitlines()[-1].startswith("2 groups")


def test_decisions_are_exported(index, tmp_path, capsys):
    printed(capsys, "deduplicate", index, "--radius", 1, "--decide")
    printed(capsys, "decide", index, "distinct", "oak.jpg", "sky.jpg", "--export", tmp_path / "decisions.csv")
    with (tmp_path / "decisions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[:3] == [["decision", "verdict", "id"], ["1", "keep", "sky.jpg"], ["2", "remove", "sea 2.jpg"]]
    assert rows[-2:] == [["6", "distinct", "oak.jpg"], ["6", "distinct", "sky.jpg"]]
    printed(capsys, "decide", index, "--export", tmp_path / "removals.sh")
    done = subprocess.run(["sh", str(tmp_path / "removals.sh")], capture_output=True, text=True, check=True)
    gone = ("sea 2.jpg", "sea.jpg", "it's a copy.jpg")
    assert done.stdout.splitlines() == [f"rm -- {tmp_path}/{name}" for name in gone]


def test_only_new_groups_are_shown(index, capsys):
    words = ["deduplicate", index, "--radius", 1, "--new", "--json"]
    assert len(json.loads(printed(capsys, *words))["groups"]) == 2
    assert json.loads(printed(capsys, *words))["groups"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["keep"], "item: expected ids of items to keep, got none"),
        (["keep", "nowhere.jpg"], "decisions: expected ids in"),
        (["distinct", "sky.jpg"], "decisions: expected two or more ids that are distinct"),
        (["delete", "sky.jpg"], "verdict: expected one of"),
        (["--export", "decisions.txt"], "export: expected a file named .csv or .sh, got decisions.txt"),
    ],
)
def test_wrong_words_decide_nothing(index, capsys, words, message):
    assert main(["decide", str(index), *words]) == 2
    assert message in capsys.readouterr().err
    with Index.open(index) as opened:
        assert opened.decisions() == ()
