"""Items are removed from an index by the command, all or none; an index is made small again."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from vtsearch.cli import main
from vtsearch.index import Index, tables


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "index", 16) as index:
        for start in (0, 5, 10):
            index.add(np.full((5, 2), start, np.uint8), [f"{start + i}.jpg" for i in range(5)])
    return tmp_path / "index"


def printed(capsys, *words):
    assert main([*map(str, words)]) == 0
    return capsys.readouterr().out


def test_named_items_are_removed(index, capsys):
    assert printed(capsys, "remove", index, "3.jpg", "12.jpg") == f"{index}: 2 items removed, 13 left\n"
    assert not {"3.jpg", "12.jpg"} & set(Index.open(index).ids())


def test_ids_come_from_a_file_or_from_standard_input(index, tmp_path, capsys, monkeypatch):
    (tmp_path / "gone.txt").write_text("1.jpg\r\n\n4.jpg\nnowhere.jpg\n")
    words = ("remove", index, "0.jpg", "--ids", tmp_path / "gone.txt", "--missing", "ignore", "--json")
    assert json.loads(printed(capsys, *words)) == {"index": str(index), "removed": 3, "items": 12}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"2.jpg\n3.jpg\n")))
    assert printed(capsys, "remove", index, "--ids", "-").endswith("2 items removed, 10 left\n")


def test_an_unknown_id_removes_nothing(index, capsys):
    assert main(["remove", str(index), "3.jpg", "nowhere.jpg"]) == 2
    assert f"ids: expected ids in {index}, got 'nowhere.jpg'" in capsys.readouterr().err
    assert len(Index.open(index)) == 15


def test_compact_tells_what_it_did(index, capsys):
    main(["remove", str(index), "3.jpg"])
    capsys.readouterr()
    told = json.loads(printed(capsys, "compact", index, "--json"))
    assert told["index"] == str(index)
    assert (told["segments_before"], told["segments"]) == (3, 1)
    assert told["bytes"] < told["bytes_before"]
    assert printed(capsys, "compact", index) == f"{index}: 1 segments of 0.0 MB are now 1 of 0.0 MB\n"
    with Index.open(index) as compacted:
        compacted.verify()
        assert len(compacted) == 14


def test_tables_are_made_explained_and_taken_away(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tables, "LEAST_BYTES", 12)
    index, code = tmp_path / "index", "0a0a0a"
    with Index.create(index, 24) as made:
        made.add(np.arange(45, dtype=np.uint8).reshape(15, 3))
    plain = printed(capsys, "search", code, "--index", index)
    assert "of 1 segments" not in printed(capsys, "info", index)
    printed(capsys, "compact", index, "--tables")
    assert "of 1 segments" in printed(capsys, "info", index)
    assert main(["search", code, "--index", str(index), "--explain"]) == 0
    out, err = capsys.readouterr()
    assert out == plain
    assert err.startswith("vtsearch search: 15 items with tables: ")
    printed(capsys, "compact", index, "--no-tables")
    assert "of 1 segments" not in printed(capsys, "info", index)


def test_search_and_evaluate_take_the_first_bits(index, tmp_path, capsys):
    whole = json.loads(printed(capsys, "search", "0a0a", "--index", index, "--json"))
    first = json.loads(printed(capsys, "search", "0a0a", "--index", index, "--json", "--bits", 8))
    for one, other in zip(whole["queries"][0]["answers"], first["queries"][0]["answers"], strict=True):
        assert (one["id"], one["distance"]) == (other["id"], 2 * other["distance"])
    np.save(tmp_path / "codes.npy", np.arange(40, dtype=np.uint8).reshape(20, 2))
    np.save(tmp_path / "labels.npy", np.arange(20) % 3)
    sides = [f"--queries={tmp_path}/codes.npy", f"--query-labels={tmp_path}/labels.npy"]
    sides += [f"--database={tmp_path}/codes.npy", f"--database-labels={tmp_path}/labels.npy"]
    scores = json.loads(printed(capsys, "evaluate", *sides, "--bits", 7, "--json"))
    assert scores["bits"] == 7
    assert main(["evaluate", *sides, "--bits", "17"]) == 2
    assert "bits: expected at most 16" in capsys.readouterr().err
