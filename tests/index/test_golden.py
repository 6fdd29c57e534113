"""An index of format 2 as it was written once: every later version reads it, and no damage of it passes in silence.

``VTSEARCH_WRITE_GOLDEN=1`` writes it anew; that is right only as long as no version with this format has been released.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import damaged_files
import numpy as np
import pytest
from thorough import amount

from vtsearch._tables import Tables
from vtsearch.index import Index, changes, tables

GOLDEN = Path(__file__).parent / "golden"
FOLDER, ANSWERS = GOLDEN / "index", GOLDEN / "answers.json"
BITS, QUERIES = 20, np.array([[0, 0, 0], [255, 255, 240], [90, 80, 0]], np.uint8)
LEAST_BYTES = 12
"""Of the codes of a segment with tables, so that one has them."""


def build(folder: Path) -> None:
    """Three segments: with metadata, tables and removed items; without; with another column."""
    rng = np.random.default_rng(0)

    def some(count: int) -> np.ndarray:
        return rng.integers(0, 256, (count, 3), dtype=np.uint8) & np.array([255, 255, 240], np.uint8)

    described = {"classes": ("cat", "dog"), "description": {"images": "here"}, "fingerprints": {"model": "m"}}
    with Index.create(folder, BITS, indexed=["size"], **described) as index:
        names = ["a/1.jpg", "a/é.jpg", "b/\udcff.jpg", "b/4.jpg", "b/5.jpg"]
        taken = ["2024-05-06 07:08:09", None, "2023-01-02 03:04:05", "1999-12-31 00:00:00", None]
        index.add(some(5), names, [3, -1, 4, 1, 2**40], {"size": [5, None, -7, 2**62, 0], "taken": taken})
        index.compact(tables=True)
        index.add(some(3), ["c/1", "c/2", "c/3"], [0, 1, 0])
        index.add(some(2), ["d/1", "d/2"], [1, 1], {"sharpness": [0.25, None]})
        index.remove(["b/4.jpg", "c/2"])
        index.decide([("keep", ["a/1.jpg"]), ("distinct", ["c/1", "d/2"])])


def answers(index: Index) -> dict[str, object]:
    """Everything that an index says, as JSON keeps it."""
    labels = index.labels()
    assert labels is not None
    found = index.search(QUERIES, 4, where="size > -10 OR size IS NULL")
    return {
        "items": len(index),
        "bits": index.bits,
        "about": [index.fingerprints, list(index.classes), index.description, index.columns(), list(index.indexed)],
        "ids": index.ids(),
        "labels": labels.tolist(),
        "codes": index.codes().tolist(),
        "metadata": index.metadata(),
        "where": [index.where(where).tolist() for where in ("size >= 0", "taken > '2000'", "sharpness = 0.25")],
        "positions": index.positions_of(["b/\udcff.jpg", "c/2", "d/2", "a/é.jpg"]).tolist(),
        "search": [found.distances.tolist(), found.indices.tolist(), found.ids],
        "decisions": [[verdict, list(ids)] for verdict, ids in index.decisions()],
        "groups": [group.ids for group in index.duplicate_groups(7)],
        "tables": [bool(segment.tables) for segment in index.segments],
    }


@pytest.fixture(scope="module", autouse=True)
def tabled():
    """The small segment has tables, and these answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "LEAST_BYTES", LEAST_BYTES)
        patch.setattr(Tables, "plan", "tables")
        yield


@pytest.fixture(scope="module", autouse=True)
def golden(tabled):
    if os.environ.get("VTSEARCH_WRITE_GOLDEN"):
        shutil.rmtree(GOLDEN, ignore_errors=True)
        GOLDEN.mkdir()
        build(FOLDER)
        with Index.open(FOLDER) as index:
            ANSWERS.write_text(json.dumps(answers(index), indent=1) + "\n")


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "index")
    return tmp_path / "index"


def test_the_golden_index_answers_as_it_did(copy):
    with Index.open(copy) as index:
        index.verify()
        assert answers(index) == json.loads(ANSWERS.read_text())


def test_the_golden_index_is_what_is_written_today(copy, tmp_path):
    build(tmp_path / "today")
    with Index.open(tmp_path / "today") as index:
        assert answers(index) == json.loads(ANSWERS.read_text())
    with Index.open(copy) as old, Index.open(tmp_path / "today") as new:
        for one, other in zip(old.segments, new.segments, strict=True):
            for name in ("codes_sha256", "items_sha256", "tables_sha256"):
                assert getattr(one, name) == getattr(other, name)


def test_the_golden_index_can_be_changed(copy, monkeypatch):
    monkeypatch.setattr(changes, "JOINED", 2)
    with Index.open(copy) as index:
        before = answers(index)
        index.add(np.zeros((1, 3), np.uint8), ["new"], [7], {"size": [3]})
        index.remove(["new"])
        index.compact(indexed=["size"])
        index.verify()
        assert answers(index) == before | {"tables": [True]}


def counted(copy, step):
    return damaged_files.outcomes(copy, answers, json.loads(ANSWERS.read_text()), lambda _: step)


def test_no_damage_of_the_golden_index_is_silent(copy):
    counts = counted(copy, 397)
    assert counts["SILENTLY WRONG"] == 0
    assert min(counts[name] for name in ("refused at opening", "refused by verify", "answers unchanged")) > 0


@pytest.mark.slow
def test_no_damage_at_all_of_the_golden_index_is_silent(copy):
    counts = counted(copy, amount(29, 1))
    print(f"\n{sum(counts.values())} damaged files: {dict(counts)}")  # noqa: T201
    assert counts["SILENTLY WRONG"] == 0
