"""Queries of classes without training images are judged apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import vtsearch
from vtsearch.data import open_dataset
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.splits.sampling import with_unseen_classes
from vtsearch.index import Index
from vtsearch.training import run_folder as files
from vtsearch.training.loop import train
from vtsearch.training.result import read_result


@pytest.mark.parametrize("database", ["rest", "rest+train"])
def test_some_classes_have_training_images_and_all_the_rest(database):
    data = open_dataset("digits")
    whole, labels = data.split, data.source.labels
    split = with_unseen_classes(whole, labels, 10, 6, database)
    assert len(np.unique(labels[split.train])) == 6
    assert len(split.train) == 300
    assert np.array_equal(split.query, whole.query)
    joined = np.setdiff1d(split.database, whole.database)
    expected = np.setdiff1d(whole.train, split.train) if database == "rest" else []
    assert joined.tolist() == list(expected)
    assert split == with_unseen_classes(whole, labels, 10, 6, database)
    others = replace(whole, seed=1)
    assert split != with_unseen_classes(others, labels, 10, 6, database)


def test_a_run_scores_seen_and_unseen_classes(tiny_config, tmp_path, monkeypatch):
    protocol = replace(PROTOCOLS["digits"], seen_classes=7, published=None)
    monkeypatch.setitem(PROTOCOLS, "digits", protocol)
    result = train(replace(tiny_config, baselines=False), tmp_path / "run")
    data = open_dataset("digits")
    trained = np.unique(data.source.labels[data.split.train])
    assert len(trained) == 7
    codes = tmp_path / "run" / files.CODES
    with Index.open(codes / "query") as queries, Index.open(codes / "database") as database:
        seen = [np.isin(side.labels(), trained) for side in (queries, database)]
        for name, parts in (("seen", seen), ("unseen", [~part for part in seen])):
            query = queries.codes()[parts[0]], queries.labels()[parts[0]]
            for suffix, kept in (("", parts[1]), (" in all", slice(None))):
                items = database.codes()[kept], database.labels()[kept]
                expected = vtsearch.evaluate(query[0], items[0], query[1], items[1], bits=12)
                assert result.unseen[name + suffix]["expected"] == expected.mean_average_precision.expected
    assert result.unseen["seen"]["expected"] > result.unseen["unseen in all"]["expected"]
    assert read_result(tmp_path / "run") == result


def test_a_run_on_all_classes_has_no_such_scores(tiny_config, tmp_path):
    assert train(replace(tiny_config, baselines=False, epochs=1), tmp_path / "run").unseen == {}
