"""The vote of the nearest items, against its definition in plain numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeded_codes

import vtsearch
from vtsearch import Evaluation, reference
from vtsearch.evaluation import with_vote
from vtsearch.metrics import votes


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    items=st.integers(1, 40),
    width=st.integers(1, 3),
    classes=st.integers(1, 5),
    voters=st.integers(1, 50),
)
def test_the_vote_is_its_definition(seed, items, width, classes, voters):
    random = np.random.default_rng(seed)
    query_codes, db_codes = random.integers(0, 4, (6, width), np.uint8), random.integers(0, 4, (items, width), np.uint8)
    query_labels, db_labels = random.integers(0, classes + 1, 6), 3 * random.integers(0, classes, items)
    arguments = query_codes, db_codes, query_labels, db_labels, voters
    np.testing.assert_array_equal(vtsearch.vote_accuracy(*arguments), reference.vote_accuracy(*arguments))


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32 - 1), items=st.integers(1, 40), voters=st.integers(1, 9), data=st.data())
def test_items_that_a_query_may_not_find_have_no_vote(seed, items, voters, data):
    random = np.random.default_rng(seed)
    arguments = (
        random.integers(0, 4, (6, 2), np.uint8),
        random.integers(0, 4, (items, 2), np.uint8),
        random.integers(0, 4, 6),
        3 * random.integers(0, 4, items),
        voters,
    )
    allowed = random.random((6, items)) < data.draw(st.sampled_from([0.1, 0.5, 1.0]))
    mask = data.draw(st.sampled_from([None, allowed[0], allowed, np.packbits(allowed, axis=1)]))
    one, several = random.integers(-1, items, 6), [random.integers(0, items, random.integers(0, 5)) for _ in range(6)]
    exclude = data.draw(st.sampled_from([None, one, several]))
    expected = reference.vote_accuracy(*arguments, mask=mask, exclude=exclude)
    np.testing.assert_array_equal(vtsearch.vote_accuracy(*arguments, mask=mask, exclude=exclude), expected)
    cut = items // 2
    parts = [part for part in (arguments[1][:cut], arguments[1][cut:]) if len(part)]
    shared = mask if mask is None or mask.ndim == 1 else None
    database = vtsearch.Database(parts, mask=shared, labels=arguments[3])
    own = None if shared is not None else mask
    found = vtsearch.vote_accuracy(arguments[0], database, arguments[2], voters=voters, mask=own, exclude=exclude)
    np.testing.assert_array_equal(found, expected)


def test_a_query_that_finds_nothing_is_not_right():
    codes, labels = np.zeros((2, 8), np.uint8), np.zeros(2, int)
    assert vtsearch.vote_accuracy(codes, codes, labels, labels, mask=[False, False]).tolist() == [0, 0]
    assert vtsearch.vote_accuracy(codes, codes, labels, labels, mask=[True, False], exclude="self").tolist() == [0, 1]


def test_queries_are_counted_in_blocks(monkeypatch):
    random = np.random.default_rng(0)
    arguments = (
        *(random.integers(0, 4, (n, 2), np.uint8) for n in (7, 40)),
        *(random.integers(0, 3, n) for n in (7, 40)),
    )
    for of_a_query in (0, 1, 3, 100):
        monkeypatch.setattr(votes, "BLOCK_BYTES", of_a_query * 8 * 3 * 17)
        for exclude in (None, np.arange(7)):
            expected = reference.vote_accuracy(*arguments, exclude=exclude)
            np.testing.assert_array_equal(vtsearch.vote_accuracy(*arguments, exclude=exclude), expected)


def test_no_order_of_ties_decides():
    codes = np.zeros((30, 8), np.uint8)
    labels = np.repeat([0, 1, 2], [12, 12, 6])
    for order in (np.arange(30), np.arange(30)[::-1]):
        scores = vtsearch.vote_accuracy(codes[:3], codes, np.array([0, 1, 2]), labels[order], voters=5)
        assert scores.tolist() == [0.5, 0.5, 0.0]


QUERIES, DATABASE = seeded_codes(0, 3, 16), seeded_codes(1, 20, 16)
LABELS = np.arange(3), np.arange(20) % 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((QUERIES, DATABASE, LABELS[0], LABELS[1][:-1]), ValueError, "db_labels: expected"),
        ((QUERIES, DATABASE, LABELS[0].astype(float), LABELS[1]), TypeError, "query_labels: expected"),
        ((QUERIES, DATABASE, np.eye(3, dtype=int), LABELS[1]), ValueError, r"query_labels: expected shape \(3,\)"),
        ((QUERIES, DATABASE, *LABELS, 0), ValueError, "voters: expected at least 1, got 0"),
        ((QUERIES, DATABASE, *LABELS, 2.5), TypeError, "voters: expected"),
        ((QUERIES, DATABASE[:0], LABELS[0], LABELS[1][:0]), ValueError, "db_codes: expected at least one code"),
        ((QUERIES.astype(float), DATABASE, *LABELS), TypeError, "query_codes: expected"),
        ((QUERIES, DATABASE[:, :1], *LABELS), ValueError, "expected"),
    ],
)
def test_what_is_no_codes_or_classes_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        vtsearch.vote_accuracy(*arguments)


def test_an_evaluation_of_single_labels_takes_the_vote_in():
    for labels in (LABELS, tuple(np.eye(3, dtype=int)[each] for each in LABELS)):
        before = vtsearch.evaluate(QUERIES, DATABASE, *labels)
        after = with_vote(before, QUERIES, DATABASE, *labels)
        expected = None if labels[0].ndim == 2 else reference.vote_accuracy(QUERIES, DATABASE, *labels).mean()
        assert before.vote is None
        assert after == replace(before, vote=expected)
        assert Evaluation.from_dict(after.to_dict()) == after


def test_the_vote_of_an_evaluation_leaves_out_the_same_items():
    left_out = {"mask": np.arange(20) % 4 != 0, "exclude": np.arange(3) + 5}
    before = vtsearch.evaluate(QUERIES, DATABASE, *LABELS, **left_out)
    after = with_vote(before, QUERIES, vtsearch.Database(DATABASE, labels=LABELS[1]), LABELS[0], **left_out)
    assert after.vote == reference.vote_accuracy(QUERIES, DATABASE, *LABELS, **left_out).mean()
