"""Small indexes of every kind of content, and the questions that every tool has to answer alike."""

from __future__ import annotations

import datetime as dt

import numpy as np

from vtsearch.codes import pack

FINGERPRINTS = {"model": "a" * 64, "preprocessing": "b" * 64, "arithmetic": "fp32"}
DESCRIPTION = {"folder": "/pictures", "note": "tab\tand ünï-çødé"}
STRANGE_IDS = [
    "a b.jpg",
    "-1",
    "007",
    "ünï/çødé.png",
    'quo"te',
    "new\nline",
    "back\\slash",
    "\N{PILE OF POO}",
    "NULL",
    "\\N",
]


def random_codes(n, bits, seed=0):
    """Codes of which many are at equal distances."""
    draw = np.random.default_rng(seed)
    centers = draw.integers(0, 2, (7, bits))
    return pack((centers[draw.integers(0, 7, n)] + (draw.random((n, bits)) < 0.2)) % 2)


def labels_of(kind, n):
    draw = np.random.default_rng(1)
    if kind == "single":
        return draw.integers(-3, 5, n)
    return (draw.random((n, 9)) < 0.3).astype(np.uint8) if kind == "multi" else None


def metadata_of(n):
    return {
        "size": [None if i % 7 == 0 else i * 10**9 for i in range(n)],
        "score": [float("inf") if i == 1 else i / 3 for i in range(n)],
        "taken": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) if i % 3 else None for i in range(n)],
        "author": [f"ünï {i}\n" for i in range(n)],
    }


def assert_equal_content(index, other, *, without=()):
    """Codes byte by byte, ids, labels, metadata and facts of two indexes, but for what a format has no place for."""
    assert other.bits == index.bits
    assert other.codes().tobytes() == index.codes().tobytes()
    if "ids" not in without:
        assert other.ids() == index.ids()
    if "labels" not in without:
        one, two = index.labels(), other.labels()
        assert (one is None) == (two is None)
        if one is not None:
            assert (two.dtype, two.shape, two.tolist()) == (one.dtype, one.shape, one.tolist())
    if "metadata" not in without:
        assert (other.columns(), other.metadata()) == (index.columns(), index.metadata())
    if "facts" not in without:
        facts = (index.fingerprints, index.classes, index.description)
        assert (other.fingerprints, other.classes, other.description) == facts


def assert_equal_answers(found, expected):
    """(distance, id) pairs of one query, nearest first: ties may stand in any order, and be cut anywhere."""
    assert [distance for distance, _ in found] == [distance for distance, _ in expected]
    last = expected[-1][0]
    inner = {pair for pair in expected if pair[0] < last}
    assert {pair for pair in found if pair[0] < last} == inner
