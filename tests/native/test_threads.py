"""Work that is large enough to be shared is shared among threads, and gives the reference's answers."""

from __future__ import annotations

import functools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from strategies import seeded_codes, seeded_queries

from vtsearch import _native, metrics, ranking, reference

SHAPES = {"cut database": (2, 3_200_001), "shared queries": (90, 70_001), "both": (40, 160_001)}
"""Queries and items: 6 million pairs each, of which 2 million keep a thread busy."""
BITS = 16
TASKS = Path("/proc/self/task")

OPERATIONS = {
    "rank": lambda package, codes, labels, mask, **threads: package.rank(*codes, 100, **threads),
    "rank far": lambda package, codes, labels, mask, **threads: package.rank(*codes, 40_000, mask=mask, **threads),
    "within": lambda package, codes, labels, mask, **threads: package.within(*codes, 2, mask=mask, **threads),
    "distances": lambda package, codes, labels, mask, **threads: package.distances(*codes, **threads),
    "histogram": lambda package, codes, labels, mask, **threads: package.histogram(*codes, mask=mask, **threads),
    "relevance": lambda package, codes, labels, mask, **threads: relevance(package, codes, labels, **threads),
    "precision by index": lambda package, codes, labels, mask, **threads: package.average_precision(
        *codes, *labels, 1000, ties="index", **threads
    ),
}
PACKAGES = {"relevance": metrics, "precision by index": metrics}  # ranking for the others


def relevance(package, codes, labels, **threads):
    histograms = package.relevance_histograms(*codes, *labels, gains=True, **threads)
    return histograms.items, histograms.relevant, histograms.gains, histograms.exponential_gains


@functools.cache
def problem(shape):
    q, n = SHAPES[shape]
    rng = np.random.default_rng(q)
    labels = rng.integers(0, 5, q), rng.integers(0, 5, n)
    return (seeded_queries(q, q, BITS), seeded_codes(q, n, BITS)), labels, rng.random(n) < 0.6


@functools.cache
def expected(operation, shape):
    return OPERATIONS[operation](reference, *problem(shape))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "shape", [name if name == "both" else pytest.param(name, marks=pytest.mark.slow) for name in SHAPES]
)
def test_shared_work_is_the_reference(isa, agree, operation, shape):
    package = PACKAGES.get(operation, ranking)
    actual = OPERATIONS[operation](package, *problem(shape), threads=3)
    agree(actual, expected(operation, shape), rtol=1e-12 if operation == "precision by index" else 0.0)


def most_threads(call, wanted):
    """How many threads beside the caller's were seen during calls, repeated until `wanted` were seen or time is up."""
    done = threading.Event()

    def work():
        while not done.is_set():
            call()

    before = len(list(TASKS.iterdir()))
    worker = threading.Thread(target=work)
    worker.start()
    most, end = 0, time.monotonic() + (20 if wanted else 1)
    while (most - 1 < wanted or not wanted) and time.monotonic() < end:
        most = max(most, len(list(TASKS.iterdir())) - before)
    done.set()
    worker.join()
    return most - 1


@pytest.mark.skipif(not TASKS.is_dir(), reason="needs /proc/self/task")
@pytest.mark.parametrize(("threads", "beside"), [(1, 0), (2, 1), (3, 2)])
def test_as_many_threads_run_as_were_asked_for(threads, beside):
    codes = seeded_codes(0, 10_000, 512)
    assert most_threads(lambda: ranking.histogram(codes, codes, threads=threads), wanted=beside) == beside


def test_calls_from_several_threads_at_once_are_the_reference(agree):
    shape = "both"
    before, isas = _native.active_isa(), _native.isas()

    def call(turn):
        _native.use_isa(isas[turn % len(isas)])
        operation = list(OPERATIONS)[turn % len(OPERATIONS)]
        package = PACKAGES.get(operation, ranking)
        return operation, OPERATIONS[operation](package, *problem(shape), threads=2)

    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(call, range(3 * len(OPERATIONS))))
    finally:
        sys.setswitchinterval(switch_interval)
        _native.use_isa(before)
    for operation, actual in answers:
        agree(actual, expected(operation, shape), rtol=1e-12 if operation == "precision by index" else 0.0)


@pytest.mark.parametrize("k", [10, 100])
@pytest.mark.parametrize("q", [1, 20])
def test_a_sample_of_near_items_alone_misleads_no_range(isa, k, q):
    n, sampled = 300_000, 512 * max(k // 25, 1)
    places = np.arange(sampled)
    places = places * (n // sampled) + places * 2654435761 % (n // sampled)  # where the engine looks for an estimate
    queries = np.repeat(seeded_codes(0, 1, 64), q, axis=0)
    database = seeded_codes(1, n, 64)
    database[places[: k // 2]] = queries[0]
    expected = ranking.rank(queries, database, k, threads=1)
    found = ranking.rank(queries, database, k, threads=4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
