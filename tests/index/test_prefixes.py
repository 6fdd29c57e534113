"""Searches and metrics of the first bits of the codes of an index."""

from __future__ import annotations

import numpy as np
import pytest

import vtsearch
from vtsearch import reference
from vtsearch.index import Index

BITS = 44
VALUES = np.random.default_rng(0).integers(0, 2, (90, BITS))
LABELS = np.arange(90) % 5


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        for start in (0, 50):
            part = slice(start, start + 50)
            index.add(vtsearch.pack(VALUES[part]), labels=LABELS[part], metadata={"n": range(*part.indices(90))})
        yield index


@pytest.mark.parametrize("bits", [1, 8, 13, 32, 44])
@pytest.mark.parametrize("whole", [True, False])
def test_all_questions_take_the_first_bits(index, bits, whole):
    queries, cut = VALUES[:4], vtsearch.pack(VALUES[:, :bits])
    asked = vtsearch.pack(queries if whole else queries[:, :bits])
    answers = index.search(asked, 7, bits=bits)
    expected = reference.rank(cut[:4], cut, 7)
    np.testing.assert_array_equal(answers.indices, expected.indices)
    np.testing.assert_array_equal(answers.distances, expected.distances)
    mask = np.arange(90) > 30
    answers = index.search(asked, 7, bits=bits, where="n > 30", exclude=[33, -1, -1, -1])
    assert answers.indices.min() > 30
    assert 33 not in answers.indices[0]
    for found, wanted in zip(index.within(asked, 3, bits=bits), reference.within(cut[:4], cut, 3), strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(index.count(asked, 2, bits=bits), vtsearch.count(cut[:4], cut, 2))
    np.testing.assert_array_equal(index.histogram(asked, bits=bits), vtsearch.histogram(cut[:4], cut))
    found = index.evaluate(asked, LABELS[:4], 20, mask=mask, bits=bits)
    wanted = vtsearch.evaluate(cut[:4], cut, LABELS[:4], LABELS, 20, mask=mask, bits=bits)
    assert found.to_dict() == wanted.to_dict()
    assert found.bits == bits


def test_items_are_searched_by_their_first_bits(index):
    found = index.search_items(["3", "60"], 5, bits=16)
    cut = vtsearch.pack(VALUES[:, :16])
    expected = vtsearch.rank(cut[[3, 60]], cut, 5, exclude=[3, 60])
    np.testing.assert_array_equal(found.indices, expected.indices)


def test_prefixes_follow_a_change(index):
    query = vtsearch.pack(VALUES[:1])
    before = index.search(query, bits=16)
    index.remove(["0", "51"])
    after = index.search(query, bits=16)
    assert len(after.ids[0]) == len(before.ids[0]) - 2
    assert after.ids[0] == [name for name in before.ids[0] if name not in ("0", "51")]


@pytest.mark.parametrize(
    ("bits", "error", "message"),
    [(0, ValueError, "at least 1"), (45, ValueError, "at most 44"), ("8", TypeError, "an int")],
)
def test_lengths_beyond_the_codes_are_refused(index, bits, error, message):
    for call in (lambda: index.search(vtsearch.pack(VALUES[:1]), bits=bits), lambda: index.database(bits=bits)):
        with pytest.raises(error, match=f"bits: expected .*{message}"):
            call()


def test_queries_of_another_width_are_refused(index):
    with pytest.raises(ValueError, match=r"query_codes: expected 6 bytes per code, or 2 of the first 16 bits, got 3"):
        index.search(np.zeros((1, 3), np.uint8), bits=16)
