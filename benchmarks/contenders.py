"""Who is measured, by operation and name: how each is called, and what its answers are held to."""

from __future__ import annotations

import contextlib
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
    return functools.partial(ranking.rank, sample.queries, sample.database, k, mask=sample.mask, threads=threads)


def rank_into_kept(sample, k, threads):
    out = ranking.rank(sample.queries, sample.database, k)
    return functools.partial(ranking.rank, sample.queries, sample.database, k, threads=threads, out=out)


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


def rank_faiss_bitmap(sample, k, threads):
    import faiss  # noqa: PLC0415

    index = faiss.IndexBinaryFlat(8 * sample.database.shape[1])
    index.add(sample.database)
    allowed = faiss.SearchParameters(
        sel=faiss.IDSelectorBitmap(np.packbits(np.unpackbits(sample.mask), bitorder="little"))
    )

    def call():
        faiss.omp_set_num_threads(threads)
        return index.search(sample.queries, k or index.ntotal, params=allowed)

    return call


@contextlib.contextmanager
def faiss_level(isa):
    """FAISS with the instructions of one of our sets; unchanged for None."""
    if isa is None or find_spec("faiss") is None:
        yield
        return
    import faiss  # noqa: PLC0415

    before = faiss.SIMDConfig.get_level()
    levels = {"scalar": "NONE", "avx2": "AVX2", "avx512": "AVX512_VPOPCNT", "neon": "ARM_NEON"}
    faiss.SIMDConfig.set_level(getattr(faiss, f"SIMDLevel_{levels[isa]}"))
    try:
        yield
    finally:
        faiss.SIMDConfig.set_level(before)


def rank_sqlite_vec(sample, k, threads):  # noqa: ARG001  SQLite has one thread
    import apsw  # noqa: PLC0415  as many a Python's own sqlite3 loads no extension
    import sqlite_vec  # noqa: PLC0415

    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute(f"create virtual table items using vec0(code bit[{8 * sample.database.shape[1]}])")
    rows = ((position, code.tobytes()) for position, code in enumerate(sample.database))
    with connection:
        connection.executemany("insert into items(rowid, code) values (?, vec_bit(?))", rows)
    nearest = "select distance, rowid from items where code match vec_bit(?) and k = ?"

    def call():
        found = np.array([connection.execute(nearest, (code.tobytes(), k)).fetchall() for code in sample.queries])
        return found[:, :, 0], found[:, :, 1].astype(np.int64)

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
    mask = sample.mask
    few_masks = mask if mask is None or mask.ndim == 1 else mask[:CHECKED]
    for actual, expected in zip(result, reference.rank(few, sample.database, k, mask=few_masks), strict=True):
        np.testing.assert_array_equal(actual[:CHECKED], expected)
    for actual, expected in zip(result, ranking.rank(sample.queries, sample.database, k, mask=mask), strict=True):
        np.testing.assert_array_equal(actual, expected)


def check_distances(result, sample, k):
    """The engine's distances; tied items may come in any order, but must lie where they are said to."""
    distances, indices = result
    expected = ranking.rank(sample.queries, sample.database, k, mask=sample.mask)
    np.testing.assert_array_equal(distances, expected.distances)
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
    return functools.partial(metrics.average_precision, *labelled(sample), k, threads=threads)


def map_in_numpy(sample, k, threads):  # noqa: ARG001
    assert k is None, "numpy scores the whole database"
    return functools.partial(precision_numpy, *labelled(sample))


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


def labelled(sample):
    """Codes and labels of both sides, as metrics take them."""
    return sample.queries, sample.database, sample.query_labels, sample.db_labels


def check_expected(result, sample, k):
    few = sample._replace(queries=sample.queries[:CHECKED], query_labels=sample.query_labels[:CHECKED])
    np.testing.assert_allclose(result[:CHECKED], reference.average_precision(*labelled(few), k), rtol=1e-12)


def check_by_index(result, sample, k):
    np.testing.assert_allclose(result, metrics.average_precision(*labelled(sample), k, ties="index"), rtol=1e-12)


def check_bounds(result, sample, k):
    """Its sort leaves the order of tied items open."""
    worst, best = (metrics.average_precision(*labelled(sample), k, ties=ties) for ties in ("worst", "best"))
    assert (worst - 1e-9 <= result).all()
    assert (result <= best + 1e-9).all()


def evaluate_vtsearch(sample, k, threads):
    return functools.partial(vtsearch.evaluate, *labelled(sample), k=k, threads=threads)


def check_evaluation(result, sample, k):
    scores = metrics.average_precision(*labelled(sample), k)
    np.testing.assert_allclose(result.average_precisions, scores, rtol=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# Duplicates, packing


def deduplicate_vtsearch(sample, k, threads):
    return functools.partial(vtsearch.deduplicate, sample.database, k, threads=threads)


def check_groups(result, sample, k):
    """Items within the radius of a few others are in the groups of these."""
    few = np.arange(0, len(sample.database), max(len(sample.database) // 100, 1))
    found = ranking.within(sample.database[few], sample.database, k)
    others = np.repeat(result.representatives[few], np.diff(found.offsets))
    np.testing.assert_array_equal(result.representatives[found.indices], others)


def pack_vtsearch(sample, k, threads):  # noqa: ARG001
    return functools.partial(vtsearch.pack, sample.features)


def pack_in_numpy(sample, k, threads):  # noqa: ARG001  without a look for NaN
    return lambda: np.packbits(sample.features > 0, axis=1)


def check_codes(result, sample, k):  # noqa: ARG001
    np.testing.assert_array_equal(result, sample.database)


# ---------------------------------------------------------------------------------------------------------------------

CONTENDERS = {
    "rank": {
        "vtsearch": Contender(rank_vtsearch, check_order),
        "no mask": Contender(rank_vtsearch, check_order, codes=lambda sample: sample._replace(mask=None)),
        "vtsearch, kept results": Contender(rank_into_kept, check_order),
        "vtsearch, shuffled items": Contender(rank_vtsearch, check_order, codes=shuffled),
        "vtsearch, random codes": Contender(rank_vtsearch, check_order, codes=random_like),
        "FAISS heap": Contender(functools.partial(rank_faiss, heap=True), check_distances, package="faiss"),
        "FAISS count": Contender(functools.partial(rank_faiss, heap=False), check_distances, package="faiss"),
        "FAISS bitmap": Contender(rank_faiss_bitmap, check_distances, package="faiss"),
        "usearch": Contender(rank_usearch, check_distances, pairs=11e6, package="usearch"),
        "sqlite-vec": Contender(rank_sqlite_vec, check_distances, pairs=11e5, threaded=False, package="sqlite_vec"),
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
    "evaluate": {
        "vtsearch": Contender(evaluate_vtsearch, check_evaluation),
        "mAP alone": Contender(map_vtsearch, check_expected),
    },
    "deduplicate": {"vtsearch": Contender(deduplicate_vtsearch, check_groups)},
    "pack": {
        "vtsearch": Contender(pack_vtsearch, check_codes, threaded=False),
        "numpy": Contender(pack_in_numpy, check_codes, threaded=False),
    },
}
