"""``vtsearch evaluate``: queries that are also in the database are left out when asked, and warned of if not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vtsearch import cli, evaluate
from vtsearch.index import Index

RNG = np.random.default_rng(0)
CODES, LABELS = RNG.integers(0, 256, (40, 2), dtype=np.uint8), np.arange(40) % 4
NAMES = [f"images/{number}.jpg" for number in range(40)]
ASKED = np.array([7, 3, 39])


@pytest.fixture
def indexes(tmp_path):
    """Three queries, of which two are in the database of forty, and its path."""
    with Index.create(tmp_path / "database", 16) as index:
        index.add(CODES[:20], NAMES[:20], labels=LABELS[:20])
        index.add(CODES[20:], NAMES[20:], labels=LABELS[20:])
    with Index.create(tmp_path / "query", 16) as index:
        index.add(CODES[ASKED], [NAMES[7], NAMES[3], "images/other.jpg"], labels=LABELS[ASKED])
    return tmp_path / "query", tmp_path / "database"


def run(capsys, queries, database, *words):
    assert cli.main(["evaluate", "--queries", str(queries), "--database", str(database), *map(str, words)]) == 0
    return capsys.readouterr()


def test_ids_of_the_queries_are_left_out(indexes, capsys):
    found = json.loads(run(capsys, *indexes, "--exclude", "ids", "--json").out)
    expected = evaluate(CODES[ASKED], CODES, LABELS[ASKED], LABELS, exclude=[7, 3, -1])
    assert found["mean_average_precision"]["expected"] == expected.mean_average_precision.expected
    assert found["excluded"] == expected.excluded == 2
    assert found["warning"] == ""


def test_items_are_left_out_of_their_own_answers(indexes, capsys):
    said = run(capsys, indexes[1], indexes[1], "--exclude", "self", "--json")
    expected = evaluate(CODES, CODES, LABELS, LABELS, exclude="self")
    assert json.loads(said.out)["mean_average_precision"]["expected"] == expected.mean_average_precision.expected
    assert said.err == ""
    by_id = run(capsys, indexes[1], indexes[1], "--exclude", "ids", "--json").out
    assert json.loads(by_id) == json.loads(said.out)


def test_self_matches_are_warned_of_on_the_terminal_and_in_reports(indexes, tmp_path, capsys):
    said = run(capsys, *indexes, "--report", tmp_path / "report")
    warning = "2 of 3 queries are also in the database (such as images/7.jpg): they find themselves"
    assert f"vtsearch evaluate: warning: {warning}" in said.err
    assert f"**Warning: {warning}" in (tmp_path / "report" / "report.md").read_text()
    said = run(capsys, *indexes, "--report", tmp_path / "report", "--exclude", "ids")
    assert "warning" not in said.err
    page = (tmp_path / "report" / "report.md").read_text()
    assert "Warning" not in page
    assert "2 excluded pairs" in page


def test_a_comparison_leaves_the_same_items_out(indexes, capsys):
    found = json.loads(run(capsys, *indexes, "--exclude", "ids", "--against", *indexes, "--json").out)
    assert found["comparison"]["mean_average_precision"] == found["mean_average_precision"]["expected"]
    assert found["comparison"]["difference"]["mean"] == 0


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        ("self", "exclude: expected as many queries as items for self, got 3 queries and 40 items"),
        ("ids", "exclude: expected two indexes with ids of their own for ids, got codes without"),
    ],
)
def test_what_cannot_be_left_out_is_refused(indexes, tmp_path, capsys, exclude, message):
    np.save(tmp_path / "codes.npy", CODES)
    np.save(tmp_path / "labels.npy", LABELS)
    words = ["--queries", indexes[0], "--database", indexes[1]]
    if exclude == "ids":
        words = ["--queries", indexes[0], "--database", tmp_path / "codes.npy"]
        words += ["--database-labels", tmp_path / "labels.npy"]
    assert cli.main(["evaluate", *map(str, words), "--exclude", exclude]) == 2
    assert message in capsys.readouterr().err


def test_an_index_leaves_items_out_of_every_answer(indexes):
    mask = np.random.default_rng(1).random((3, 40)) < 0.9
    with Index.open(indexes[1]) as index:
        positions = index.positions_of([NAMES[7], NAMES[3], "images/other.jpg"])
        assert positions.tolist() == [7, 3, -1]
        assert positions.dtype == np.int64
        for query, answers in zip(ASKED, index.search(CODES[ASKED], 5, exclude=ASKED).ids, strict=True):
            assert len(answers) == 5
            assert NAMES[query] not in answers
        options = {"mask": mask, "exclude": positions}
        assert np.array_equal(
            np.diff(index.within(CODES[ASKED], 3, **options).offsets), index.count(CODES[ASKED], 3, **options)
        )
        assert index.histogram(CODES[ASKED], exclude=positions).sum(axis=1).tolist() == [39, 39, 40]
        found = index.evaluate(CODES[ASKED], LABELS[ASKED], 10, **options)
        assert found == evaluate(CODES[ASKED], CODES, LABELS[ASKED], LABELS, 10, **options)
        with pytest.raises(ValueError, match="exclude: expected as many queries as database codes for 'self'"):
            index.search(CODES[ASKED], 5, exclude="self")
