"""Near-duplicates of an index are printed in groups of ids, with their diameters and the old items that they match."""

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


@pytest.fixture
def old(tmp_path):
    with Index.create(tmp_path / "old", 5) as index:
        index.add(pack([[0, 1, 0, 1, 1]]), ["ash.jpg"])
        index.add(pack([[1, 1, 1, 1, 0]]), ["tu\tlip.jpg"])
    return tmp_path / "old"


def test_groups_are_printed_with_the_one_to_keep_first(index, capsys):
    assert printed(capsys, index, "--radius", 1).splitlines() == [
        "diameter  id",
        "       2  sky.jpg",
        "          sea 2.jpg",
        "          sea.jpg",
        "",
        "       0  rose.jpg",
        "          rose copy.jpg",
        "",
        "2 groups (radius 1, 5 bits); 3 of 6 items could go",
    ]


def test_a_radius_of_0_finds_equal_codes(index, capsys):
    assert printed(capsys, index, "--radius", 0, "--threads", 2).splitlines() == [
        "diameter  id",
        "       0  rose.jpg",
        "          rose copy.jpg",
        "",
        "1 groups (radius 0, 5 bits); 1 of 6 items could go",
    ]


def test_groups_are_printed_as_json(index, capsys):
    assert json.loads(printed(capsys, index, "--radius", 1, "--json")) == {
        "index": str(index),
        "items": 6,
        "bits": 5,
        "radius": 1,
        "redundant": 3,
        "groups": [["sky.jpg", "sea 2.jpg", "sea.jpg"], ["rose.jpg", "rose copy.jpg"]],
        "diameters": [2, 0],
        "verdicts": [[None] * 3, [None] * 2],
    }


def test_groups_that_are_too_wide_are_split(index, capsys):
    lines = printed(capsys, index, "--radius", 1, "--max-diameter", 1).splitlines()
    assert lines[1:3] == ["       1  sky.jpg", "          sea.jpg"]
    assert lines[-1] == "2 groups (radius 1, diameter up to 1, 5 bits); 2 of 6 items could go"
    answer = json.loads(printed(capsys, index, "--radius", 1, "--max-diameter", 1, "--json"))
    assert (answer["max_diameter"], answer["diameters"]) == (1, [1, 0])


def test_matches_of_old_items_are_printed_beside_new_ones(index, old, capsys):
    assert printed(capsys, index, "--radius", 1, "--against", old).splitlines() == [
        "diameter  id             distance  match",
        "       2  sky.jpg",
        "          sea 2.jpg",
        "          sea.jpg",
        "",
        "       0  rose.jpg              1  tu\\tlip.jpg",
        "          rose copy.jpg         1  tu\\tlip.jpg",
        "",
        "       0  oak.jpg               1  ash.jpg",
        "",
        "2 groups (radius 1, 5 bits); 3 items match old ones; 5 of 6 items could go",
    ]


def test_matches_are_printed_as_json(index, old, capsys):
    answer = json.loads(printed(capsys, index, "--radius", 1, "--against", old, "--json"))
    assert answer["groups"] == [["sky.jpg", "sea 2.jpg", "sea.jpg"], ["rose.jpg", "rose copy.jpg"]]
    assert (answer["against"], answer["redundant"]) == (str(old), 5)
    assert answer["matches"] == [
        {"id": "rose.jpg", "match": "tu\tlip.jpg", "distance": 1},
        {"id": "rose copy.jpg", "match": "tu\tlip.jpg", "distance": 1},
        {"id": "oak.jpg", "match": "ash.jpg", "distance": 1},
    ]


@pytest.mark.parametrize("features", [False, True])
def test_old_items_of_a_file_are_named_by_their_position(index, tmp_path, capsys, features):
    bits = np.array([[0, 1, 0, 1, 1], [1, 1, 1, 1, 0]])
    np.save(tmp_path / "old.npy", bits - 0.5 if features else pack(bits))
    out = printed(capsys, index, "--radius", 1, "--against", tmp_path / "old.npy")
    assert "       0  oak.jpg               1  0" in out.splitlines()


def test_an_index_without_matches_says_so(index, tmp_path, capsys):
    np.save(tmp_path / "old.npy", pack([[0, 0, 1, 1, 0]])[:0])
    out = printed(capsys, index, "--radius", 0, "--against", tmp_path / "old.npy")
    assert out.splitlines()[-1] == "1 groups (radius 0, 5 bits); 0 items match old ones; 1 of 6 items could go"
    assert (
        json.loads(printed(capsys, index, "--radius", 0, "--against", tmp_path / "old.npy", "--json"))["matches"] == []
    )


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
