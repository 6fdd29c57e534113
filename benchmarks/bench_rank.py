"""Ranking 54,000 codes for 1,000 queries on one thread: native, the fastest numpy we know, FAISS."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from contenders import rank_all_numpy, rank_argpartition, rank_numpy

from vtsearch import _native, ranking, reference

CHECKED = 10  # queries that are held to the slow reference; all others are held to numpy
NATIVE = [f"native {isa}" for isa in _native.isas()]


@pytest.fixture(scope="module")
def answer():
    """The numpy answer, itself held to the reference: (codes in, k) -> (distances, indices)."""
    known = {}

    def answer(bits, queries, database, k):
        if (bits, k) not in known:
            known[bits, k] = found = rank_numpy(queries, database, k)
            for actual, expected in zip(found, reference.rank(queries[:CHECKED], database, k), strict=True):
                np.testing.assert_array_equal(actual[:CHECKED], expected)
        return known[bits, k]

    return answer


@pytest.mark.parametrize("contender", [*NATIVE, "numpy", "argpartition", "faiss"])
@pytest.mark.parametrize("k", [10, 100, 1000])
@pytest.mark.parametrize("bits", [16, 32, 64, 128])
def bench_rank(measure, native, data, answer, bits, k, contender):
    queries, database, _, _ = data(bits)
    if contender == "numpy":
        call, rounds = functools.partial(rank_numpy, queries, database, k), 2
    elif contender == "argpartition":
        call, rounds = functools.partial(rank_argpartition, queries, database, k), 2
    elif contender == "faiss":
        call, rounds = faiss_search(queries, database, k), 3
    else:
        native(contender.removeprefix("native "))
        call, rounds = functools.partial(ranking.rank, queries, database, k, threads=1), 5
    pairs = len(queries) * len(database)
    actual = measure(f"rank {bits} bits k={k}", contender, call, pairs=pairs, rounds=rounds)
    expected = answer(bits, queries, database, k)
    np.testing.assert_array_equal(actual[0], expected[0])
    if contender not in {"argpartition", "faiss"}:  # which order tied items otherwise
        np.testing.assert_array_equal(actual[1], expected[1])


def faiss_search(queries, database, k):
    faiss = pytest.importorskip("faiss", reason="needs FAISS: pip install faiss-cpu")
    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(8 * database.shape[1])
    index.add(database)
    return functools.partial(index.search, queries, k)


@pytest.mark.parametrize("contender", [*NATIVE, "numpy"])
@pytest.mark.parametrize("bits", [16, 32, 64, 128])
def bench_rank_all(measure, native, data, bits, contender):
    queries, database, _, _ = data(bits)
    queries = queries[:100]
    if contender == "numpy":
        call, rounds = functools.partial(rank_all_numpy, queries, database), 2
    else:
        native(contender.removeprefix("native "))
        call, rounds = functools.partial(ranking.rank, queries, database, threads=1), 5
    pairs = len(queries) * len(database)
    actual = measure(f"rank {bits} bits k=all", contender, call, pairs=pairs, rounds=rounds)
    for ours, expected in zip(actual, reference.rank(queries[:CHECKED], database), strict=True):
        np.testing.assert_array_equal(ours[:CHECKED], expected)
