"""``vtsearch evaluate --vote``: the accuracy of the nearest items, of the same items that the other scores are of."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vtsearch import cli, reference
from vtsearch.index import Index

RNG = np.random.default_rng(0)
CODES, LABELS = RNG.integers(0, 256, (60, 2), dtype=np.uint8), np.arange(60) % 2
NAMES = [f"images/{number}.jpg" for number in range(60)]
LEFT_OUT = [(), ("--exclude", "self"), ("--where", "id > 'images/2'", "--exclude", "self")]


@pytest.fixture
def database(tmp_path):
    with Index.create(tmp_path / "database", 16) as index:
        index.add(CODES[:20], NAMES[:20], labels=LABELS[:20])
        index.add(CODES[20:], NAMES[20:], labels=LABELS[20:])
    return tmp_path / "database"


def run(capsys, database, *words):
    assert cli.main(["evaluate", "--queries", str(database), "--database", str(database), *map(str, words)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", LEFT_OUT)
def test_the_vote_is_that_of_the_items_that_a_query_may_find(words, database, capsys):
    found = json.loads(run(capsys, database, "--vote", "--json", *words))
    mask = np.array([name > "images/2" for name in NAMES]) if "--where" in words else None
    exclude = "self" if "--exclude" in words else None
    expected = reference.vote_accuracy(CODES, CODES, LABELS, LABELS, mask=mask, exclude=exclude).mean()
    assert 0 < found["vote"] == expected < 1


def test_first_bits_have_a_vote_of_their_own(database, capsys):
    found = json.loads(run(capsys, database, "--vote", "--json", "--bits", 8))
    assert found["vote"] == reference.vote_accuracy(CODES[:, :1], CODES[:, :1], LABELS, LABELS).mean()


def test_the_vote_is_in_the_text_and_in_both_reports(database, tmp_path, capsys):
    vote = reference.vote_accuracy(CODES, CODES, LABELS, LABELS).mean()
    out = run(capsys, database, "--vote", "--report", tmp_path / "report")
    assert f"vote of 20    {vote:.6f}  accuracy of the nearest items" in out
    assert f"| {vote:.6f} |" in (tmp_path / "report/report.md").read_text()
    assert f"{100 * vote:.2f}" in (tmp_path / "report/report.html").read_text()
    assert "vote of" not in run(capsys, database)


def test_several_labels_have_no_vote(tmp_path, capsys):
    np.save(tmp_path / "codes.npy", CODES)
    np.save(tmp_path / "labels.npy", np.eye(2, dtype=np.uint8)[LABELS])
    both = [f"--{side}{kind}" for kind in ("", "-labels") for side in ("query", "database")]
    both[0] = "--queries"
    files = ["codes.npy", "codes.npy", "labels.npy", "labels.npy"]
    words = [word for name, file in zip(both, files, strict=True) for word in (name, str(tmp_path / file))]
    assert cli.main(["evaluate", *words, "--vote"]) == 2
    assert "vote: expected items of one class each, got some with several labels" in capsys.readouterr().err
