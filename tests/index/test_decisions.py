"""Groups of near-duplicates that people decide on: the item to keep, what is not asked again, what is told apart."""

from __future__ import annotations

import itertools
import random
import sqlite3

import numpy as np
import pytest

from vtsearch import reference
from vtsearch.errors import VtsearchError
from vtsearch.index import Decision, DuplicateGroup, Index

BITS = 16
CODES = np.array([[0, 0], [0, 1], [0, 3], [255, 0], [255, 1], [15, 240]], np.uint8)
IDS = ["a/0.jpg", "b/1.jpg", "a/2.jpg", "b/3.jpg", "a/4.jpg", "b/5.jpg"]
METADATA = {
    "width": [10, 30, 20, 5, 5, 1],
    "height": [10, 10, 20, 5, 5, 1],
    "bytes": [1, 2, 3, 7, 9, 5],
    "taken": ["2024-05-01 00:00:00", None, "2023-05-01 00:00:00", None, None, None],
    "modified": ["2020-01-01", "2022-01-01", "2020-01-01", None, "2019-01-01", None],
}


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES[:4], IDS[:4], metadata={name: values[:4] for name, values in METADATA.items()})
        index.add(CODES[4:], IDS[4:], metadata={name: values[4:] for name, values in METADATA.items()})
        yield index


def positions(groups):
    return [group.positions for group in groups]


def test_groups_have_ids_diameters_and_verdicts(index):
    first, second = index.duplicate_groups(1)
    assert first == DuplicateGroup(IDS[:3], [0, 1, 2], 2, [None] * 3)
    assert second == DuplicateGroup(IDS[3:5], [3, 4], 1, [None] * 2)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("first", [[0, 1, 2], [3, 4]]),
        ("largest", [[2, 1, 0], [4, 3]]),
        ("oldest", [[1, 2, 0], [4, 3]]),
        ("newest", [[0, 2, 1], [4, 3]]),
        ("path=b/", [[1, 0, 2], [3, 4]]),
        ("path=a/2", [[2, 0, 1], [3, 4]]),
    ],
)
def test_a_rule_chooses_the_item_to_keep(index, keep, expected):
    assert positions(index.duplicate_groups(1, keep=keep)) == expected


def test_rules_without_the_metadata_that_they_need_keep_the_first(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES, IDS)
        for keep in ("largest", "oldest", "newest"):
            assert positions(index.duplicate_groups(1, keep=keep)) == [[0, 1, 2], [3, 4]]


def test_what_is_decided_is_not_asked_again(index):
    index.decide([("keep", ["a/0.jpg"]), ("remove", ["b/1.jpg"])])
    (first, _) = index.duplicate_groups(1)
    assert (first.ids, first.verdicts) == (["a/0.jpg", "a/2.jpg", "b/1.jpg"], ["keep", None, "remove"])
    index.decide([("remove", ["a/2.jpg"])])
    assert positions(index.duplicate_groups(1)) == [[3, 4]]
    assert positions(index.duplicate_groups(1, answered=True)) == [[0, 1, 2], [3, 4]]
    index.add(np.array([[0, 2]], np.uint8), ["new.jpg"], metadata={"width": [1]})
    with Index.open(index.path) as again:
        (first, _) = again.duplicate_groups(1)
        assert first.ids == ["a/0.jpg", "new.jpg", "b/1.jpg", "a/2.jpg"]
        again.forget_decisions(["b/1.jpg"])
        assert again.decisions() == (Decision("keep", ("a/0.jpg",)), Decision("remove", ("a/2.jpg",)))
    index.decide([("remove", ["a/0.jpg"])])
    assert index.decisions() == (Decision("remove", ("a/2.jpg",)), Decision("remove", ("a/0.jpg",)))
    index.verify()


def test_items_that_were_told_apart_are_not_linked(index):
    index.decide([("distinct", ["a/0.jpg", "b/1.jpg"])])
    assert positions(index.duplicate_groups(1)) == [[1, 2], [3, 4]]
    index.decide([("distinct", ["b/1.jpg", "a/2.jpg"]), ("distinct", ["a/4.jpg", "b/3.jpg"])])
    assert index.duplicate_groups(1) == []
    assert positions(index.duplicate_groups(2)) == [[0, 2]]
    index.rename_decisions({"a/4.jpg": "b/5.jpg"})
    assert positions(index.duplicate_groups(1)) == [[3, 4]]
    index.remove(["b/1.jpg"])
    assert positions(index.duplicate_groups(2)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("seed", range(10))
def test_random_groups_are_those_of_the_links_that_are_left(tmp_path, seed):
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    codes = rng.integers(0, 4, (40, 2), dtype=np.uint8)
    names = [f"{i}" for i in range(40)]
    told = [("distinct", chance.sample(names, chance.randrange(2, 6))) for _ in range(12)]
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes[:30], names[:30])
        index.add(codes[30:], names[30:])
        index.decide(told)
        cut = {frozenset(pair) for _, ids in told for pair in itertools.combinations(map(int, ids), 2)}
        near = reference.distances(codes, codes) <= 1
        links = [(a, b) for a, b in itertools.combinations(range(40), 2) if near[a, b] and frozenset((a, b)) not in cut]
        group = list(range(40))
        for a, b in links:
            old, new = max(group[a], group[b]), min(group[a], group[b])
            group = [new if each == old else each for each in group]
        expected = [[i for i in range(40) if group[i] == first] for first in sorted(set(group))]
        assert positions(index.duplicate_groups(1)) == [each for each in expected if len(each) > 1]


def test_new_groups_are_shown_once(index):
    assert len(index.duplicate_groups(1, new=True)) == 2
    assert index.duplicate_groups(1, new=True) == []
    assert len(index.duplicate_groups(1)) == 2
    index.add(np.array([[255, 3]], np.uint8), ["new.jpg"])
    assert positions(index.duplicate_groups(1, new=True)) == [[3, 4, 6]]
    assert index.duplicate_groups(1, new=True) == []


def test_groups_are_of_the_items_that_a_condition_leaves(index):
    assert positions(index.duplicate_groups(1, where="id <> 'b/1.jpg'")) == [[3, 4]]


WRONG = {
    "another verdict": ([("delete", ["a/0.jpg"])], ValueError, "decisions: expected one of keep, remove, distinct"),
    "no pair": ([("keep",)], TypeError, "decisions: expected pairs of a verdict and ids"),
    "an id alone": ([("keep", "a/0.jpg")], TypeError, "decisions: expected a sequence of strings"),
    "two ids to keep": ([("keep", IDS[:2])], ValueError, "decisions: expected one id to keep"),
    "one id that is distinct": ([("distinct", ["a/0.jpg"] * 2)], ValueError, "two or more ids that are distinct"),
    "an unknown id": ([("keep", ["nowhere"])], ValueError, "decisions: expected ids in .*, got 'nowhere'"),
}


@pytest.mark.parametrize(("decisions", "kind", "message"), WRONG.values(), ids=WRONG)
def test_wrong_decisions_are_named_and_none_is_made(index, decisions, kind, message):
    with pytest.raises(kind, match=message):
        index.decide([("keep", ["a/0.jpg"]), *decisions])
    assert index.decisions() == ()


def test_another_rule_is_refused(index):
    with pytest.raises(ValueError, match="keep: expected one of first, largest, oldest, newest, path=PREFIX"):
        index.duplicate_groups(1, keep="best")


def test_damaged_decisions_are_named(index):
    index.decide([("keep", ["a/0.jpg"])])
    for damage in ("UPDATE decisions SET ids = '[\"b/1.jpg\"]'", "UPDATE decisions SET ids = '{'"):
        with sqlite3.connect(index.path / "index.sqlite") as db:
            db.execute(damage)
        db.close()
        for question in (index.decisions, index.verify, lambda: index.duplicate_groups(1)):
            with pytest.raises(VtsearchError, match=r"index\.sqlite: .*decisions"):
                question()
