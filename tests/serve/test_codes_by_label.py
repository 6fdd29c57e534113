"""Codes class by class."""

from __future__ import annotations

import numpy as np
import pytest

import vtsearch
from vtsearch.serve import search
from vtsearch.serve.codes_by_label import CodesByLabel
from vtsearch.serve.served_index import ServedIndex
from vtsearch.serve.wire import SearchRequest


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_the_codes_of_a_label_are_those_of_its_items_in_their_order(dtype):
    rng = np.random.default_rng(0)
    labels, codes = rng.integers(0, 5, 200).astype(dtype) * 3, rng.integers(0, 256, (200, 4), dtype=np.uint8)
    made = CodesByLabel.made(labels, codes)
    for label in (0, 3, 6, 9, 12):
        np.testing.assert_array_equal(made.of(label), codes[labels == label])


def test_one_item_is_a_class():
    made = CodesByLabel.made(np.array([7]), np.array([[1, 2]], dtype=np.uint8))
    assert made.of(7).tolist() == [[1, 2]]


def test_relevant_items_are_counted_alike_with_and_without_an_arranged_index(tmp_path):
    rng = np.random.default_rng(1)
    with vtsearch.Index.create(tmp_path / "index", bits=16) as index:
        index.add(rng.integers(0, 256, (300, 2), dtype=np.uint8), labels=rng.integers(0, 4, 300))
    state = ServedIndex("index", tmp_path / "index").state
    requests = [SearchRequest(id="7", k=5), SearchRequest(id="7", k=5, bits=9, exclude=["8", "9"])]
    requests.append(SearchRequest(id="7", k=5, where="label < 3", exclude_self=False))

    def histograms():
        return [
            answer.histogram for answer in search.search(state, [search.question(state, each) for each in requests])
        ]

    lazily = histograms()
    state.warm()
    assert histograms() == lazily
    codes, labels = state.index.codes(), state.index.labels()
    near = vtsearch.histogram(codes[7:8], codes[labels == labels[7]])[0]
    near[0] -= 1  # itself
    assert lazily[0].relevant == near.tolist()
