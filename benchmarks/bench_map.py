"""mAP over all 54,000 items for 1,000 queries on one thread: native, numpy, the loop of the hashing literature."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from contenders import map_literature, map_numpy

from vtsearch import _native, metrics, reference

CHECKED = 10  # queries that are held to the slow reference
BITS = pytest.mark.parametrize("bits", [16, 32, 64, 128])


def check(actual, retrieval, ties):
    """Native against numpy over all queries by index, and against the reference over a few."""
    queries, database, query_labels, db_labels = retrieval
    few = queries[:CHECKED], database, query_labels[:CHECKED], db_labels
    expected = reference.average_precision(*few, ties=ties)
    np.testing.assert_allclose(metrics.average_precision(*few, ties=ties), expected, rtol=1e-12)
    scores = metrics.average_precision(*retrieval, ties=ties)
    assert actual == pytest.approx(scores.mean(), rel=1e-12)


@pytest.mark.parametrize("ties", ["expected", "index"])
@pytest.mark.parametrize("isa", _native.isas())
@BITS
def bench_map_native(measure, native, data, bits, ties, isa):
    native(isa)
    call = functools.partial(metrics.mean_average_precision, *data(bits), ties=ties, threads=1)
    actual = measure(f"mAP@all {bits} bits", f"native {isa} {ties}", call, pairs=pairs(data(bits)), rounds=5)
    check(actual, data(bits), ties)


@BITS
def bench_map_numpy(measure, data, bits):
    call = functools.partial(map_numpy, *data(bits))
    actual = measure(f"mAP@all {bits} bits", "numpy", call, pairs=pairs(data(bits)), rounds=2)
    check(actual, data(bits), "index")


@BITS
def bench_map_literature(measure, data, bits):
    queries, database, query_labels, db_labels = data(bits)
    signs = [2 * reference.unpack(codes, bits).astype(np.float32) - 1 for codes in (queries, database)]
    one_hot = [np.eye(10, dtype=np.float32)[labels] for labels in (query_labels, db_labels)]
    call = functools.partial(map_literature, *signs, *one_hot, len(database))
    actual = measure(f"mAP@all {bits} bits", "the published loop", call, pairs=pairs(data(bits)), rounds=1)
    worst, best = (metrics.mean_average_precision(*data(bits), ties=ties) for ties in ("worst", "best"))
    assert worst - 1e-9 <= actual <= best + 1e-9  # its sort leaves the order of tied items open


def pairs(retrieval):
    return len(retrieval[0]) * len(retrieval[1])
