"""A database of several parts, with mask and labels, gives the answers of one array."""

from __future__ import annotations

import numpy as np
import pytest

import vtsearch
from vtsearch import Database


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(0).integers(0, 4, (40, 3), dtype=np.uint8)


@pytest.fixture(params=[(0,), (7, 8, 8), (1, 2, 40), (16,), (0, 13, 39)], ids=str)
def parts(request, codes):
    return np.split(codes, request.param)


QUERIES = np.random.default_rng(1).integers(0, 4, (5, 3), dtype=np.uint8)
MASK = np.arange(40) % 5 != 1
LABELS = np.arange(40) % 3
ASKED = np.arange(5) % 3


def same(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.mark.parametrize("mask", [None, MASK, MASK.tolist(), np.packbits(MASK)], ids=["none", "bool", "list", "packed"])
def test_ranking_functions(codes, parts, mask):
    database = Database(parts, mask=mask)
    same(vtsearch.rank(QUERIES, database, 9), vtsearch.rank(QUERIES, codes, 9, mask=mask))
    same(vtsearch.within(QUERIES, database, 4), vtsearch.within(QUERIES, codes, 4, mask=mask))
    same([vtsearch.count(QUERIES, database, 4)], [vtsearch.count(QUERIES, codes, 4, mask=mask)])
    same([vtsearch.histogram(QUERIES, database)], [vtsearch.histogram(QUERIES, codes, mask=mask)])


def test_distances_and_duplicates(codes, parts):
    same([vtsearch.distances(QUERIES, Database(parts))], [vtsearch.distances(QUERIES, codes)])
    expected = vtsearch.deduplicate(codes, 1).representatives
    same([vtsearch.deduplicate(Database(parts), 1).representatives], [expected])


@pytest.mark.parametrize("ties", ["expected", "index", "best", "worst"])
@pytest.mark.parametrize("k", [None, 7])
def test_average_precision(codes, parts, ties, k):
    expected = vtsearch.average_precision(QUERIES, codes, ASKED, LABELS, k, ties=ties)
    for database, labels in ((Database(parts, labels=LABELS), None), (Database(parts), LABELS)):
        same([vtsearch.average_precision(QUERIES, database, ASKED, labels, k, ties=ties)], [expected])


def test_evaluate(codes, parts):
    expected = vtsearch.evaluate(QUERIES, codes, ASKED, LABELS, 7)
    assert vtsearch.evaluate(QUERIES, Database(parts, labels=LABELS), ASKED, k=7) == expected


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda c: Database([]), ValueError, "parts: expected at least one array"),
        (lambda c: Database([c, c[:, :2].copy()]), ValueError, r"parts\[1\]: expected 3 bytes per code as in parts"),
        (lambda c: Database([c.astype(float)]), TypeError, r"parts\[0\]: expected packed uint8 codes"),
        (lambda c: Database(c, mask=MASK[:3]), ValueError, "mask: expected bool"),
        (lambda c: Database(c, labels=LABELS[:3]), ValueError, "labels: expected 40 rows"),
        (lambda c: vtsearch.rank(c, Database(c, mask=MASK), mask=MASK), ValueError, "mask: expected none"),
        (lambda c: vtsearch.evaluate(c, Database(c), LABELS), ValueError, "db_labels: expected the labels"),
        (lambda c: vtsearch.evaluate(c, Database(c, labels=LABELS), LABELS, LABELS), ValueError, "db_labels: .* both"),
        (lambda c: vtsearch.distances(c, Database(c, mask=MASK)), ValueError, "without a mask"),
        (lambda c: vtsearch.deduplicate(Database(c, mask=MASK), 0), ValueError, "without a mask"),
        (lambda c: vtsearch.rank(c[:, :2].copy(), Database(c)), ValueError, "query_codes: expected 3 bytes"),
    ],
)
def test_a_mistake_is_named(codes, build, kind, message):
    with pytest.raises(kind, match=message):
        build(codes)
