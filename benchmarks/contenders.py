"""Who is measured, by operation and name: how each is called, and what its answers are held to."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy_contenders import precision_literature, precision_numpy, rank_all_numpy, rank_argpartition, rank_numpy
from synthetic_codes import CLASSES, Sample, random_like, shuffled

import vtsearch
from vtsearch import metrics, ranking, reference

CHECKED = 3  # queries that are held to the slow reference; all are held to the engine


@dataclass(frozen=True)
class Contender:
    """One way to the answers of an operation."""

    prepare: Callable[[Sample, int | None, int], Callable[[], Any]]  # (sample, k, threads) -> what is timed
    check: Callable[..., None]  # (result, sample, k): equal to the reference and the engine
    pairs: float = math.inf  # it is given so few queries that a call compares no more: its time is per query
    threaded: bool = True
    package: str | None = None
    codes: Callable[[Sample], Sample] = lambda sample: sample

    @property
    def installed(self) -> bool:
        return self.package is None or find_spec(self.package) is not None

    def sample(self, sample: Sample) -> Sample:
        """The codes that it gets."""
        most = max(1, int(min(self.pairs / len(sample.database), len(sample.queries))))
        labels = None if sample.query_labels is None else sample.query_labels[:most]
        return self.codes(sample._replace(queries=sample.queries[:most], query_labels=labels))


# ---------------------------------------------------------------------------------------------------------------------
# Ranking


def rank_vtsearch(sample, k, threads):
    return functools.partial(ranking.rank, sample.queries, sample.database, k, threads=threads)


def rank_by_tables(sample, k, threads):
    return functools.partial(vtsearch.MultiIndex(sample.database).rank, sample.queries, k, threads=threads)


def rank_faiss(sample, k, threads, *, heap):
    import faiss  # noqa: PLC0415  what may be missing is imported where it is used

    index = faiss.IndexBinaryFlat(8 * sample.database.shape[1])
    index.use_heap = heap
    index.add(sample.database)

    def call():
        faiss.omp_set_num_threads(threads)
        return index.search(sample.queries, k or index.ntotal)

    return call


def rank_usearch(sample, k, threads):
    from usearch.index import MetricKind, search  # noqa: PLC0415

    def call():
        found = search(
            sample.database, sample.queries, k or len(sample.database), MetricKind.Hamming, exact=True, threads=threads
        )
        return np.atleast_2d(found.distances), np.atleast_2d(found.keys).astype(np.int64)  # one query: one dimension

    return call


def rank_in_numpy(sample, k, threads):  # noqa: ARG001  numpy has one thread here
    if k is None:
        return functools.partial(rank_all_numpy, sample.queries, sample.database)
    return functools.partial(rank_numpy, sample.queries, sample.database, k)


def rank_by_argpartition(sample, k, threads):  # noqa: ARG001
    return functools.partial(rank_argpartition, sample.queries, sample.database, k or len(sample.database))


def check_order(result, sample, k):
    """The reference's distances and indices."""
    few = sample.queries[:CHECKED]
    for actual, expected in zip(result, reference.rank(few, sample.database, k), strict=True):
        np.testing.assert_array_equal(actual[:CHECKED], expected)
    for actual, expected in zip(result, ranking.rank(sample.queries, sample.database, k), strict=True):
        np.testing.assert_array_equal(actual, expected)


def check_distances(result, sample, k):
    """The engine's distances; tied items may come in any order, but must lie where they are said to."""
    distances, indices = result
    np.testing.assert_array_equal(distances, ranking.rank(sample.queries, sample.database, k).distances)
    for query, row, items in zip(sample.queries, distances, indices, strict=True):
        np.testing.assert_array_equal(row, np.bitwise_count(sample.database[items] ^ query).sum(axis=1))
        assert len(np.unique(items)) == len(items)


# ---------------------------------------------------------------------------------------------------------------------
# Reading the database, and nothing else: what no search of one query can beat


def read(dtype, reduce):
    def prepare(sample, k, threads):  # noqa: ARG001
        return functools.partial(reduce, sample.database.reshape(-1).view(dtype))

    return Contender(prepare, lambda *_: None, threaded=False)


# ---------------------------------------------------------------------------------------------------------------------
# Average precision


def map_vtsearch(sample, k, threads):
    return functools.partial(metrics.average_precision, *sample, k, threads=threads)


def map_in_numpy(sample, k, threads):  # noqa: ARG001
    assert k is None, "numpy scores the whole database"
    return functools.partial(precision_numpy, *sample)


def map_in_literature(sample, k, threads):
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    bits = 8 * sample.database.shape[1]
    signs = [2 * reference.unpack(codes, bits).astype(np.float32) - 1 for codes in (sample.queries, sample.database)]
    labels = [as_columns(labels) for labels in (sample.query_labels, sample.db_labels)]

    def call():
        with threadpool_limits(threads):  # of its products
            return precision_literature(*signs, *labels, k)

    return call


def as_columns(labels):
    """(n, classes) float32 of 0 and 1."""
    return labels.astype(np.float32) if labels.ndim == 2 else np.eye(CLASSES, dtype=np.float32)[labels]


def check_expected(result, sample, k):
    few = sample._replace(queries=sample.queries[:CHECKED], query_labels=sample.query_labels[:CHECKED])
    np.testing.assert_allclose(result[:CHECKED], reference.average_precision(*few, k), rtol=1e-12)


def check_by_index(result, sample, k):
    np.testing.assert_allclose(result, metrics.average_precision(*sample, k, ties="index"), rtol=1e-12)


def check_bounds(result, sample, k):
    """Its sort leaves the order of tied items open."""
    worst, best = (metrics.average_precision(*sample, k, ties=ties) for ties in ("worst", "best"))
    assert (worst - 1e-9 <= result).all()
    assert (result <= best + 1e-9).all()


# ---------------------------------------------------------------------------------------------------------------------

CONTENDERS = {
    "rank": {
        "vtsearch": Contender(rank_vtsearch, check_order),
        "vtsearch, shuffled items": Contender(rank_vtsearch, check_order, codes=shuffled),
        "vtsearch, random codes": Contender(rank_vtsearch, check_order, codes=random_like),
        "FAISS heap": Contender(functools.partial(rank_faiss, heap=True), check_distances, package="faiss"),
        "FAISS count": Contender(functools.partial(rank_faiss, heap=False), check_distances, package="faiss"),
        "usearch": Contender(rank_usearch, check_distances, pairs=11e6, package="usearch"),
        "numpy": Contender(rank_in_numpy, check_order, pairs=55e6, threaded=False),
        "argpartition": Contender(rank_by_argpartition, check_distances, pairs=11e6, threaded=False),
        "read: sum uint64": read(np.uint64, np.add.reduce),
        "read: sum uint32": read(np.uint32, functools.partial(np.add.reduce, dtype=np.uint32)),
        "read: xor": read(np.uint64, np.bitwise_xor.reduce),
        "read: max int64": read(np.int64, np.maximum.reduce),
    },
    "tables": {
        "vtsearch": Contender(rank_by_tables, check_order),
        "scan": Contender(rank_vtsearch, check_order),
        "FAISS heap": Contender(functools.partial(rank_faiss, heap=True), check_distances, package="faiss"),
        "FAISS count": Contender(functools.partial(rank_faiss, heap=False), check_distances, package="faiss"),
    },
    "map": {
        "vtsearch": Contender(map_vtsearch, check_expected),
        "literature": Contender(map_in_literature, check_bounds, pairs=27e6, package="threadpoolctl"),
        "numpy": Contender(map_in_numpy, check_by_index, threaded=False),
    },
}
