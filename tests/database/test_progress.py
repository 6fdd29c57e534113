"""Whoever asks is told how far a scan is, and can end it."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import seeded_codes, seeded_queries

import vtsearch
from vtsearch import duplicates, metrics, ranking
from vtsearch.index import Index

N = 203


SIDES = seeded_queries(1, 5, 16), seeded_codes(1, N, 16)
LABELS = np.arange(5) % 3, np.arange(N) % 3
CALLS = {
    "rank": lambda db, **how: ranking.rank(SIDES[0], db, 7, **how),
    "within": lambda db, **how: ranking.within(SIDES[0], db, 7, **how),
    "count": lambda db, **how: ranking.count(SIDES[0], db, 7, **how),
    "deduplicate": lambda db, **how: [duplicates.deduplicate(db, 3, **how).representatives],
    "deduplicate against": lambda db, **how: [duplicates.deduplicate(db, 3, against=db, **how).matches],
    "bounded groups": lambda db, **how: [duplicates.deduplicate(db, 3, max_diameter=3, **how).representatives],
    "histogram": lambda db, **how: ranking.histogram(SIDES[0], db, **how),
    "relevance histograms": lambda db, **how: metrics.relevance_histograms(SIDES[0], db, *LABELS, **how).relevant,
    "average precision": lambda db, **how: metrics.average_precision(SIDES[0], db, *LABELS, **how),
    "by index": lambda db, **how: metrics.average_precision(SIDES[0], db, *LABELS, 7, ties="index", **how),
    "by index, two scans": lambda db, **how: metrics.average_precision(
        SIDES[0], db, *LABELS, 7, ties="index", normalizer="min", **how
    ),
    "mean average precision": lambda db, **how: [metrics.mean_average_precision(SIDES[0], db, *LABELS, **how)],
    "evaluate": lambda db, **how: vtsearch.evaluate(SIDES[0], db, *LABELS, 7, **how).average_precisions,
    "evaluate by relevant": lambda db, **how: (
        vtsearch.evaluate(SIDES[0], db, *LABELS, 7, normalizer="relevant", **how).average_precisions
    ),
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


def complete(told):
    done, total = zip(*told, strict=True)
    assert len(told) > 1
    assert set(total) == {N}
    assert list(done) == sorted(done)
    assert done[0] > 0
    assert done[-1] == N


@EVERY_CALL
@pytest.mark.parametrize("in_file", [False, True])
def test_progress_rises_to_all_items_and_changes_nothing(small_ranges, mapped, call, in_file):
    told = []
    database = mapped(SIDES[1]) if in_file else SIDES[1]
    for one, other in zip(call(database, progress=lambda *done: told.append(done)), call(SIDES[1]), strict=True):
        np.testing.assert_array_equal(one, other)
    complete(told)


@EVERY_CALL
def test_a_small_database_is_done_at_once(call):
    told = []
    call(SIDES[1], progress=lambda *done: told.append(done))
    assert told[-1] == (N, N)
    assert len(told) <= 2


def test_ties_by_index_of_everything_are_told_at_the_end(small_ranges):
    told = []
    metrics.average_precision(*SIDES, *LABELS, 10**6, ties="index", progress=lambda *done: told.append(done))
    assert told[-1] == (N, N)


def test_an_empty_database_is_done_at_once():
    told = []
    ranking.rank(SIDES[0], SIDES[1][:0], 3, progress=lambda *done: told.append(done))
    assert told == [(0, 0)]


@EVERY_CALL
def test_progress_that_is_no_function_is_refused(call):
    with pytest.raises(TypeError, match="progress: expected a function of items done and items in all, got True"):
        call(SIDES[1], progress=True)


@EVERY_CALL
def test_what_progress_raises_ends_the_scan(small_ranges, mapped, call):
    told = []

    def stop(done, total):
        told.append(done)
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        call(mapped(SIDES[1]), progress=stop)
    assert len(told) == 1
    assert told[0] < N


@pytest.mark.parametrize("sizes", [(N,), (100, 103), (1, 2, 200)])
def test_progress_counts_through_the_segments_of_an_index(small_ranges, tmp_path, sizes):
    told = []
    with Index.create(tmp_path / "index", 16) as index:
        for part in np.split(SIDES[1], np.cumsum(sizes)[:-1]):
            index.add(part)
        index.search(SIDES[0], 7, progress=lambda *done: told.append(done))
        with pytest.raises(TypeError, match="progress: expected a function"):
            index.search(SIDES[0], 7, progress="bar")
    complete(told)
