"""Conditions on the command line: --where, the columns of metadata that are printed, and those that are indexed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vtsearch.cli import main
from vtsearch.evaluation import evaluate
from vtsearch.index import Index

CODES = np.random.default_rng(0).integers(0, 256, (40, 2), dtype=np.uint8)


@pytest.fixture
def index(tmp_path):
    taken = [f"2024-{1 + i % 12:02}-01" for i in range(40)]
    with Index.create(tmp_path / "index", 16) as index:
        index.add(CODES, [f"{i}.jpg" for i in range(40)], np.arange(40) % 4, {"taken": taken, "bytes": range(40)})
    return tmp_path / "index"


def printed(capsys, *words):
    assert main([*map(str, words)]) == 0
    return capsys.readouterr().out


def refused(capsys, *words):
    assert main([*map(str, words)]) == 2
    return capsys.readouterr().err


def test_search_takes_a_condition_and_prints_columns(index, capsys):
    words = ["search", "3.jpg", CODES[7].tobytes().hex(), "--index", index, "-k", 2, "--where", "bytes > 30"]
    found = json.loads(printed(capsys, *words, "--json"))
    assert found["index"] == str(index)
    with Index.open(index) as opened:
        expected = opened.search(CODES[[3, 7]], 2, where="bytes > 30")
    for query, ids in zip(found["queries"], expected.ids, strict=True):
        assert [answer["id"] for answer in query["answers"]] == ids
        assert [f"{answer['metadata']['bytes']}.jpg" for answer in query["answers"]] == ids
    table = printed(capsys, *words, "--show", "bytes", "taken").splitlines()
    assert (table[0], table[4], table[5]) == ("3.jpg", "", CODES[7].tobytes().hex())
    assert table[1].split() == ["rank", "distance", "id", "label", "bytes", "taken"]
    position = int(expected.indices[0, 0])
    taken = f"2024-{1 + position % 12:02}-01"
    assert table[2].split()[2:] == [f"{position}.jpg", str(position % 4), str(position), taken]


def test_remove_takes_a_condition_instead_of_ids(index, capsys):
    assert printed(capsys, "remove", index, "--where", "taken < '2024-03'") == f"{index}: 8 items removed, 32 left\n"
    with Index.open(index) as left:
        assert min(left.metadata()["taken"]) == "2024-03-01"
    assert "where: expected either ids or a condition, got both" in refused(
        capsys, "remove", index, "3.jpg", "--where", "bytes > 3"
    )


def test_deduplicate_and_evaluate_take_a_condition(index, capsys):
    found = json.loads(printed(capsys, "deduplicate", index, "--radius", 3, "--where", "bytes < 20", "--json"))
    with Index.open(index) as opened:
        groups = opened.deduplicate(3, where="bytes < 20").groups()
        assert found["groups"] == [[f"{i}.jpg" for i in group] for group in groups]
        assert groups
        expected = evaluate(CODES, CODES, opened.labels(), opened.labels(), mask=opened.where("bytes >= 10"))
    words = ["evaluate", "--queries", index, "--database", index, "--where", "bytes >= 10", "--json"]
    assert json.loads(printed(capsys, *words))["mean_average_precision"] == expected.to_dict()["mean_average_precision"]
    np.save(index.parent / "codes.npy", CODES)
    np.save(index.parent / "labels.npy", np.arange(40) % 4)
    words = ["--database", index.parent / "codes.npy", "--database-labels", index.parent / "labels.npy"]
    error = refused(capsys, "evaluate", "--queries", index, *words, "--where", "bytes >= 10")
    assert "where: expected a database that is an index, got an array" in error


def test_compact_chooses_the_columns_with_a_tree(index, capsys):
    printed(capsys, "compact", index, "--indexed", "bytes", "label")
    described = printed(capsys, "info", index, "--verify")
    assert "bytes: INTEGER, indexed" in described
    assert "taken: TEXT\n" in described
    printed(capsys, "compact", index, "--indexed")
    assert "indexed" not in printed(capsys, "info", index)


def test_wrong_conditions_and_columns_are_named(index, capsys):
    search = ["search", "3.jpg", "--index", index]
    assert "where: no such column: colour; columns are id, label" in refused(capsys, *search, "--where", "colour = 3")
    error = refused(capsys, *search, "--show", "colour")
    assert f"show: expected columns of {index} (taken, bytes), got 'colour'" in error
    assert "indexed: expected names of letters" in refused(capsys, "compact", index, "--indexed", "a b")
