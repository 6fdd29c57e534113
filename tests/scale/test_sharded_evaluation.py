"""Metrics of a sharded index: those of one index for any number of shards."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from sharded import BITS, codes_of, grown, labels_of

from vtsearch.index import Index
from vtsearch.scale import ShardedIndex
from vtsearch.scale.shards import LocalShards

QUERIES = codes_of(99, 9)


@pytest.fixture(scope="module", params=["single", "multi"])
def labelled(request, tmp_path_factory):
    """An index, and labels of the queries."""
    return grown(tmp_path_factory.mktemp("evaluated") / "index", request.param), labels_of(request.param, 99, 9)


def numbers(value):
    """All numbers of an evaluation."""
    if isinstance(value, (tuple, list)):
        return [number for each in value for number in numbers(each)]
    return [] if value is None or isinstance(value, str) else [float(value)]


def close(found, expected):
    one, other = (numbers(astuple(each)) for each in (found, expected))
    assert len(one) == len(other)
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=0)
    for name in ("queries", "database", "bits", "multi_label", "k", "normalizer", "excluded"):
        assert getattr(found, name) == getattr(expected, name)


def restrictions(count):
    rng = np.random.default_rng(4)
    return [
        {},
        {"mask": rng.random(count) < 0.4},
        {"mask": rng.random((9, count)) < 0.4},
        {"exclude": rng.integers(-1, count, 9)},
        {"exclude": [rng.integers(0, count, n) for n in (0, 1, 3, 0, 9, 2, 60, 1, 1)]},
        {"exclude": rng.integers(-1, count, 9), "mask": rng.random(count) < 0.4},
        {"where": "number < ?", "params": [60]},
        {"bits": 13},
        {"bits": 20, "exclude": rng.integers(-1, count, 9)},
    ]


@pytest.mark.parametrize("shards", [1, 2, 3, 8])
def test_an_evaluation_is_that_of_one_index(labelled, shards):
    index, truth = labelled
    with ShardedIndex.open(index.path, shards) as sharded:
        for own in restrictions(len(index)):
            for k in (None, 1, 10, 150, 10_000):
                close(sharded.evaluate(QUERIES, truth, k, **own), index.evaluate(QUERIES, truth, k, **own))
        for normalizer in ("relevant", "min"):
            expected = index.evaluate(QUERIES, truth, 20, normalizer=normalizer)
            close(sharded.evaluate(QUERIES, truth, 20, normalizer=normalizer), expected)


def test_progress_is_that_of_two_passes(labelled):
    (index, truth), told = labelled, []
    with ShardedIndex.open(index.path, 3) as sharded:
        sharded.evaluate(QUERIES, truth, 5, progress=lambda done, items: told.append((done, items)))
    assert len(told) == 6
    assert told == sorted(told)
    assert told[-1] == (len(index), len(index))


def test_several_indexes_are_evaluated_as_one(tmp_path):
    parts = [grown(tmp_path / "one", prefix="a"), grown(tmp_path / "two", sizes=(20, 60), prefix="b")]
    whole = Index.create(tmp_path / "whole", BITS, fingerprints={"model": "m", "preprocessing": "p"})
    for part in parts:
        whole.add(part.codes(), part.ids(), part.labels())
    truth = labels_of("single", 99, 9)
    with ShardedIndex.open([part.path for part in parts], 5) as sharded:
        close(sharded.evaluate(QUERIES, truth, 30), whole.evaluate(QUERIES, truth, 30))


WRONG = {
    "labels of other queries": lambda index, truth: index.evaluate(QUERIES[:3], truth),
    "labels of another form": lambda index, truth: index.evaluate(
        QUERIES, np.eye(9, 11, dtype=int)[:, : 5 + truth.ndim]
    ),
    "no queries": lambda index, truth: index.evaluate(QUERIES[:0], truth[:0]),
    "codes that are bits": lambda index, truth: index.evaluate(np.eye(9, 44, dtype=np.uint8), truth),
    "k of 0": lambda index, truth: index.evaluate(QUERIES, truth, 0),
    "an unknown normalizer": lambda index, truth: index.evaluate(QUERIES, truth, normalizer="other"),
    "bits beyond": lambda index, truth: index.evaluate(QUERIES, truth, bits=99),
    "a mask of another length": lambda index, truth: index.evaluate(QUERIES, truth, mask=[True]),
    "positions outside": lambda index, truth: index.evaluate(QUERIES, truth, exclude=[10_000] * 9),
    "threads of 0": lambda index, truth: index.evaluate(QUERIES, truth, threads=0),
    "a progress that is no function": lambda index, truth: index.evaluate(QUERIES, truth, progress=1),
}


@pytest.mark.parametrize("question", WRONG.values(), ids=WRONG)
def test_mistakes_are_named_as_by_an_index_and_sent_to_no_shard(labelled, question, monkeypatch):
    index, truth = labelled
    with ShardedIndex.open(index.path, 3) as sharded:
        monkeypatch.setattr(LocalShards, "ask", None)
        with pytest.raises((ValueError, TypeError)) as expected:
            question(index, truth)
        with pytest.raises(type(expected.value)) as raised:
            question(sharded, truth)
        assert str(raised.value) == str(expected.value)


def test_a_condition_that_holds_for_nothing(labelled):
    index, truth = labelled
    with ShardedIndex.open(index.path, 3) as sharded:
        for each in (index, sharded):
            with pytest.raises(ValueError, match="where: expected a condition that holds for at least one item, got"):
                each.evaluate(QUERIES, truth, where="id = 'nobody'")


def test_a_mask_that_allows_nothing(labelled):
    index, truth = labelled
    with (
        ShardedIndex.open(index.path, 3) as sharded,
        pytest.raises(ValueError, match="mask: expected at least one item that a query may find, got none"),
    ):
        sharded.evaluate(QUERIES, truth, mask=np.zeros(len(index), dtype=bool))


def test_an_index_without_labels(tmp_path):
    index = grown(tmp_path / "index", "none")
    with (
        ShardedIndex.open(index.path, 2) as sharded,
        pytest.raises(ValueError, match=r"query_labels: expected none for .*index, an index without labels"),
    ):
        sharded.evaluate(QUERIES, labels_of("single", 99, 9))
