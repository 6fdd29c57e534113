from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtsearch.data.splits.split import Split, draw_split, load_split, save_split
from vtsearch.errors import VtsearchError

CLASSES = ("cat", "dog", "owl")


def labels(per_class=8):
    return np.tile(np.arange(3), per_class)


def draw(values, queries=2, train=3, database="rest", seed=0):
    return draw_split(
        values, CLASSES, queries_per_class=queries, train_per_class=train, database=database, seed=seed, name="pets"
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), queries=st.integers(1, 4), train=st.integers(0, 4))
def test_each_class_gives_what_was_asked_and_nothing_is_lost(seed, queries, train):
    split = draw(labels(), queries, train, seed=seed)
    assert np.bincount(labels()[split.query], minlength=3).tolist() == [queries] * 3
    assert np.bincount(labels()[split.train], minlength=3).tolist() == [train] * 3
    assert sorted([*split.query, *split.train, *split.database]) == list(range(24))


def test_the_database_rule_says_where_training_images_are():
    rest, both, train = (draw(labels(), database=rule) for rule in ("rest", "rest+train", "train"))
    assert not set(rest.database) & set(rest.train)
    assert set(both.database) == set(rest.database) | set(rest.train)
    assert np.array_equal(train.database, train.train)


def test_a_seed_names_one_split_on_every_machine():
    assert draw(labels(), seed=7) == draw(labels(), seed=7)
    assert draw(labels(), seed=7) != draw(labels(), seed=8)
    assert draw(labels(), seed=7).query.tolist() == [0, 10, 11, 14, 18, 22]


def test_columns_of_single_labels_draw_like_class_numbers():
    columns = np.eye(3, dtype=np.uint8)[labels()]
    assert draw(columns) == draw(labels())


def test_an_image_of_several_classes_is_drawn_once():
    columns = np.ones((30, 3), dtype=np.uint8)
    split = draw(columns)
    assert (len(split.query), len(split.train), len(split.database)) == (6, 9, 15)


def test_too_few_images_name_the_class_and_both_counts():
    with pytest.raises(ValueError) as error:
        draw(np.array([0] * 9 + [1] * 4 + [2] * 9))
    assert str(error.value) == "pets: class 'dog' has 4 images, and 5 are needed (2 query and 3 train)"


def test_an_unknown_database_rule_lists_the_choices():
    with pytest.raises(ValueError, match=r"database: expected one of rest, rest\+train, train, got 'all'"):
        draw(labels(), database="all")


def test_counts_below_their_minimum_are_refused():
    with pytest.raises(ValueError, match="queries_per_class, train_per_class: expected at least 1 and 0, got 0, 3"):
        draw(labels(), queries=0)


def test_a_split_is_read_as_it_was_written(tmp_path):
    split = draw(labels(), seed=3)
    save_split(split, tmp_path / "split.json")
    again = load_split(tmp_path / "split.json")
    assert again == split
    assert again.seed == 3
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_the_fingerprint_tells_the_parts_apart():
    assert Split([0], [1], [2]).fingerprint != Split([0], [2], [1]).fingerprint
    assert Split([0], [1, 2], [3]).fingerprint != Split([0], [1], [2, 3]).fingerprint
    assert hash(Split([0], [1], [2])) == hash(Split([0], [1], [2], seed=9))


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "split.json"
    save_split(draw(labels()), path)
    content = json.loads(path.read_text())
    content["train"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(VtsearchError, match=r"split.json: changed since it was written"):
        load_split(path)


PARTS = f'"query": [{2**70}], "train": [], "database": [], "seed": 0'
HUGE = f'{{"format": "vtsearch-split", "version": 1, {PARTS}}}'


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "vtsearch-split", "version": 2}', "\x00", "[" * 100_000, HUGE]
)
def test_another_file_is_no_split(tmp_path, text):
    (tmp_path / "other").write_text(text)
    with pytest.raises(VtsearchError, match="other: "):
        load_split(tmp_path / "other")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        load_split(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0, 0], [1], [2]), "query: expected different positions"),
        (([0], [-1], [2]), "train: expected different positions"),
        (([0], [1], [[2]]), "database: expected different positions"),
        (([0], [0, 1], [2]), "query: expected no train image, got 1, the first at 0"),
        (([0], [1], [0, 1]), "query: expected no database image, got 1, the first at 0"),
    ],
)
def test_parts_that_cannot_be_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        Split(*parts)
