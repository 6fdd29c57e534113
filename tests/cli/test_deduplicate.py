"""Near-duplicates of an index are printed in groups of ids."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vtsearch.cli import main
from vtsearch.codes import pack
from vtsearch.index import Index

BITS = [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0]]
IDS = ["sky.jpg", "rose.jpg", "sea 2.jpg", "sea.jpg", "rose copy.jpg", "oak.jpg"]


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "index", 5) as index:
        index.add(pack(BITS[:4]), IDS[:4])
        index.add(pack(BITS[4:]), IDS[4:])
    return tmp_path / "index"


def printed(capsys, *words):
    assert main(["deduplicate", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_groups_are_printed_with_the_one_to_keep_first(index, capsys):
    assert printed(capsys, index, "--radius", 1).splitlines() == [
        "sky.jpg",
        "sea 2.jpg",
        "sea.jpg",
        "",
        "rose.jpg",
        "rose copy.jpg",
        "",
        "2 groups (radius 1, 5 bits); 3 of 6 items could go",
    ]


def test_a_radius_of_0_finds_equal_codes(index, capsys):
    out = printed(capsys, index, "--radius", 0, "--threads", 2)
    assert out == "rose.jpg\nrose copy.jpg\n\n1 groups (radius 0, 5 bits); 1 of 6 items could go\n"


def test_groups_are_printed_as_json(index, capsys):
    assert json.loads(printed(capsys, index, "--radius", 1, "--json")) == {
        "index": str(index),
        "items": 6,
        "bits": 5,
        "radius": 1,
        "redundant": 3,
        "groups": [["sky.jpg", "sea 2.jpg", "sea.jpg"], ["rose.jpg", "rose copy.jpg"]],
    }


def test_an_empty_index_has_no_groups(tmp_path, capsys):
    Index.create(tmp_path / "empty", 5).close()
    assert printed(capsys, tmp_path / "empty", "--radius", 1) == "0 groups (radius 1, 5 bits); 0 of 0 items could go\n"


def test_an_index_without_duplicates_has_no_groups(tmp_path, capsys):
    with Index.create(tmp_path / "index", 8) as index:
        index.add(np.array([[0], [255], [15]], dtype=np.uint8))
    assert json.loads(printed(capsys, tmp_path / "index", "--radius", 3, "--json"))["groups"] == []


def test_an_index_with_missing_items_is_named_in_one_line(index, capsys):
    for path in (index / "items").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert main(["deduplicate", str(index), "--radius", "1"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"vtsearch deduplicate: {index / 'items'}")
