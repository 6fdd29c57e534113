"""What is found range by range is what the reference finds in one go."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from known_answers import reference
from strategies import seeded_codes, seeded_queries

from vtsearch import _database, _merging, metrics, ranking
from vtsearch.index import Index

TIES = ("expected", "index", "best", "worst")
NORMALIZERS = ("retrieved", "relevant", "min")
N = 203


def random_labels(rng, shape, kind):
    return rng.integers(0, 4, shape) if kind == "single" else (rng.random((shape, 5)) < 0.3).astype(np.uint8)


def check_rankings(agree, queries, database, plain, *, mask=None, mask_as=None):
    for k in (1, 7, 150, len(plain), None):
        agree(ranking.rank(queries, database, k, mask=mask_as), reference.rank(queries, plain, k, mask=mask))
    for radius in (0, 3, 1000):
        actual = ranking.within(queries, database, radius, mask=mask_as)
        agree(actual, reference.within(queries, plain, radius, mask=mask))
        actual = ranking.count(queries, database, radius, mask=mask_as)
        agree(actual, reference.count(queries, plain, radius, mask=mask))
    agree(ranking.histogram(queries, database, mask=mask_as), reference.histogram(queries, plain, mask=mask))


@pytest.mark.parametrize("bits", [8, 16, 64, 72, 264])
@pytest.mark.parametrize("kind", ["random", "nearest first"])
def test_rankings_of_a_file_are_the_reference(small_ranges, agree, mapped, bits, kind):
    queries, database = seeded_queries(bits, 5, bits), seeded_codes(bits, N, bits, kind)
    check_rankings(agree, queries, mapped(database), database)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_masks_are_cut_with_the_codes(small_ranges, agree, mapped, share):
    queries, database = seeded_queries(1, 5, 16), seeded_codes(1, N, 16)
    mask = np.random.default_rng(3).random(N) < share
    for mask_as in (mask, np.packbits(mask), mapped(mask), mapped(np.packbits(mask))):
        check_rankings(agree, queries, mapped(database), database, mask=mask, mask_as=mask_as)


def test_items_tied_over_the_borders_of_ranges_stay_in_the_order_of_their_index(small_ranges, mapped):
    database = mapped(np.zeros((N, 2), dtype=np.uint8))
    found = ranking.rank(np.array([[0, 0], [1, 0]], dtype=np.uint8), database, 50)
    assert found.indices.tolist() == [list(range(50))] * 2
    assert found.distances.tolist() == [[0] * 50, [1] * 50]


@pytest.mark.parametrize("bits", [8188 * 8])
def test_distances_of_the_widest_codes_are_merged(small_ranges, agree, mapped, bits):
    queries, database = seeded_queries(1, 2, bits), seeded_codes(1, 20, bits)
    database[11] = ~queries[1]
    agree(ranking.rank(queries, mapped(database)), reference.rank(queries, database))


def test_many_queries_are_merged_in_blocks(small_ranges, agree, mapped, monkeypatch):
    monkeypatch.setattr(_merging, "_MERGED_BYTES", 100)
    queries, database = seeded_queries(1, 40, 16), seeded_codes(1, N, 16)
    agree(ranking.rank(queries, mapped(database), 9), reference.rank(queries, database, 9))


def test_no_queries_find_nothing(small_ranges, mapped):
    queries, database = seeded_codes(1, 0, 16), mapped(seeded_codes(1, N, 16))
    assert ranking.rank(queries, database, 3).indices.shape == (0, 3)
    assert ranking.within(queries, database, 3).offsets.tolist() == [0]
    assert ranking.histogram(queries, database).shape == (0, 17)
    labels = np.zeros(0, dtype=int), np.zeros(N, dtype=int)
    for ties, normalizer in itertools.product(TIES, NORMALIZERS):
        scores = metrics.average_precision(queries, database, *labels, 5, ties=ties, normalizer=normalizer)
        assert scores.shape == (0,)


def test_views_of_a_file_are_read_in_ranges_too(small_ranges, agree, mapped):
    queries, database = seeded_queries(1, 5, 64), seeded_codes(1, N, 64)
    words = mapped(database.view(np.uint64))
    for view, plain in [
        (mapped(database)[13:], database[13:]),
        (np.asarray(mapped(database))[13:100], database[13:100]),
        (words, database),
        (words[5:], database[5:]),
    ]:
        assert not _database.Scan(_database.Database(view.view(np.uint8)), 5).whole
        check_rankings(agree, queries, view, plain)


@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize("in_file", [False, True])
def test_metrics_of_a_file_are_the_reference(small_ranges, agree, mapped, kind, in_file):
    rng = np.random.default_rng(0)
    queries, database = seeded_queries(1, 9, 16), seeded_codes(1, N, 16)
    labels, db_labels = random_labels(rng, 9, kind), random_labels(rng, N, kind)
    sides = queries, mapped(database), labels, mapped(db_labels) if in_file else db_labels
    plain = queries, database, labels, db_labels
    actual = metrics.relevance_histograms(*sides, gains=True)
    expected = reference.relevance_histograms(*plain, gains=True)
    for name in ("items", "relevant", "gains", "exponential_gains", "gain_counts"):
        agree(getattr(actual, name), getattr(expected, name))
    for ties, normalizer, k in itertools.product(TIES, NORMALIZERS, (1, 40, None)):
        choices = {"ties": ties, "normalizer": normalizer}
        agree(
            metrics.average_precision(*sides, k, **choices),
            reference.average_precision(*plain, k, **choices),
            rtol=1e-12,
        )
        assert metrics.mean_average_precision(*sides, k, **choices) == metrics.mean_average_precision(
            *plain, k, **choices
        )


def test_items_that_share_more_labels_may_come_in_any_range(small_ranges, agree, mapped):
    labels = np.eye(5, dtype=int)[np.arange(N) % 5]
    for crowded in (3, 100, 202):
        db_labels = labels.copy()
        db_labels[crowded] = 1
        sides = seeded_queries(1, 4, 16), mapped(seeded_codes(1, N, 16)), np.ones((4, 5), dtype=int), db_labels
        expected = reference.relevance_histograms(*sides, gains=True).gain_counts
        agree(metrics.relevance_histograms(*sides, gains=True).gain_counts, expected)


def test_no_rankings_are_built_for_ties_by_index(small_ranges, agree, mapped, monkeypatch):
    monkeypatch.setattr(_database, "scan_rank", None)
    labels = np.arange(9) % 3, np.arange(N) % 3
    queries, database = seeded_queries(1, 9, 16), seeded_codes(1, N, 16)
    for k in (20, None):
        agree(
            metrics.average_precision(queries, mapped(database), *labels, k, ties="index"),
            reference.average_precision(queries, database, *labels, k, ties="index"),
            rtol=1e-12,
        )


class Recorder:
    """Calls a function and counts."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def test_labels_that_are_none_are_refused_in_whichever_range_they_are(small_ranges, mapped):
    labels = np.zeros((N, 3), dtype=int)
    labels[150] = 2
    sides = seeded_codes(0, 2, 16), mapped(seeded_codes(1, N, 16)), np.zeros((2, 3), dtype=int), labels
    with pytest.raises(ValueError, match=r"db_labels: expected 0 and 1 in \(n, classes\)"):
        metrics.average_precision(*sides)


@pytest.mark.parametrize("sizes", [(N,), (100, 103), (1, 2, 200), (50, 0, 153)])
def test_an_index_is_searched_in_ranges(small_ranges, agree, tmp_path, sizes):
    queries, database = seeded_queries(1, 5, 16), seeded_codes(1, N, 16)
    mask = np.random.default_rng(0).random(N) < 0.5
    with Index.create(tmp_path / "index", 16) as index:
        for part in np.split(database, np.cumsum(sizes)[:-1]):
            index.add(part)
        for k in (1, 20, None):
            agree(index.search(queries, k)[:2], reference.rank(queries, database, k))
            agree(index.search(queries, k, mask=mask)[:2], reference.rank(queries, database, k, mask=mask))
