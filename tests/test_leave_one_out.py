"""Excluded and masked items do not exist: every answer is that of a loop with a smaller database for each query."""

from __future__ import annotations

import functools
import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import retrievals, seeded_codes

import vtsearch
from vtsearch import _database, _selection, metrics, ranking, reference
from vtsearch._database import Database

TIES = ("expected", "index", "best", "worst")
NORMALIZERS = ("retrieved", "relevant", "min")
CALLS = {
    "rank": lambda *sides, **options: ranking.rank(*sides, 3, **options),
    "within": lambda *sides, **options: ranking.within(*sides, 3, **options),
    "count": lambda *sides, **options: ranking.count(*sides, 3, **options),
    "histogram": ranking.histogram,
    "relevance_histograms": lambda *sides, **options: metrics.relevance_histograms(*sides, *LABELS, **options),
    "average_precision": lambda *sides, **options: metrics.average_precision(*sides, *LABELS, **options),
    "mean_average_precision": lambda *sides, **options: metrics.mean_average_precision(*sides, *LABELS, **options),
    "evaluate": lambda *sides, **options: vtsearch.evaluate(*sides, *LABELS, **options),
    "compare": lambda *sides, **options: vtsearch.compare(
        *sides, *sides, query_labels=LABELS[0], db_labels=LABELS[1], **options
    ),
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
QUERIES, CODES = seeded_codes(0, 3, 16), seeded_codes(1, 20, 16)
LABELS = np.array([0, 1, 2]), np.arange(20) % 3


def labels_of(rng, n, kind):
    return rng.integers(0, 3, n) if kind == "single" else (rng.random((n, 5)) < 0.3).astype(np.uint8)


def in_parts(codes, parts):
    return codes if parts == 1 else Database(np.split(codes, [len(codes) // 3, len(codes) // 3, len(codes) // 2]))


def one_by_one(score, codes, labels, allowed):
    """A metric of each query alone, against a copy of the items that it may find."""
    return [score(codes[q : q + 1], codes[row], labels[q : q + 1], labels[row]) for q, row in enumerate(allowed)]


def test_random_codes_that_find_themselves_look_good():
    rng = np.random.default_rng(0)
    codes, labels = vtsearch.pack(rng.random((1000, 64)) > 0.5), rng.integers(0, 10, 1000)
    sides = codes, codes, labels, labels
    assert metrics.mean_average_precision(*sides, 10) == pytest.approx(0.825, abs=0.01)
    assert metrics.mean_average_precision(*sides, 10, exclude="self") == pytest.approx(0.216, abs=0.01)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize("masked", ["no mask", "mask", "mask per query"])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_average_precision_is_that_of_a_plain_loop(parts, kind, masked, seed):
    rng = np.random.default_rng(seed)
    n = 21
    codes, labels = seeded_codes(seed, n, 8), labels_of(rng, n, kind)
    shapes = {"no mask": None, "mask": n, "mask per query": (n, n)}
    mask = None if masked == "no mask" else rng.random(shapes[masked]) < 0.5
    allowed = ~np.eye(n, dtype=bool) & (True if mask is None else mask)
    for ties, normalizer, k in itertools.product(TIES, NORMALIZERS, (1, 10, None)):
        choices = {"ties": ties, "normalizer": normalizer}
        actual = metrics.average_precision(
            codes, in_parts(codes, parts), labels, labels, k, mask=mask, exclude="self", **choices
        )
        score = functools.partial(reference.average_precision, k=k, **choices)
        expected = np.concatenate(one_by_one(score, codes, labels, allowed))
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15, err_msg=f"{choices} {k}")


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_histograms_are_those_of_a_plain_loop(parts, kind):
    rng = np.random.default_rng(5)
    codes, labels = seeded_codes(5, 50, 16), labels_of(rng, 50, kind)
    mask = rng.random(50) < 0.7
    actual = metrics.relevance_histograms(
        codes, in_parts(codes, parts), labels, labels, gains=True, mask=mask, exclude="self"
    )
    allowed = ~np.eye(50, dtype=bool) & mask
    expected = one_by_one(lambda *sides: metrics.relevance_histograms(*sides, gains=True), codes, labels, allowed)
    for name in ("items", "relevant", "gains", "exponential_gains"):
        np.testing.assert_array_equal(getattr(actual, name), [getattr(each, name)[0] for each in expected])
    for row, each in zip(actual.gain_counts, expected, strict=True):
        assert np.trim_zeros(row, "b").tolist() == np.trim_zeros(each.gain_counts[0], "b").tolist()


@st.composite
def selections(draw, q, n):
    """A mask of any form, and positions to exclude in any form."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    masks = [None, rng.random(n) < share, rng.random((q, n)) < share]
    mask = draw(st.sampled_from(masks + [each if each is None else np.packbits(each, axis=-1) for each in masks]))
    several = [rng.integers(-1, n, draw(st.sampled_from([0, 1, 3, 40]))) for _ in range(q)]
    forms = [None, rng.integers(-1, n, q), rng.integers(-1, n, (q, 2)), several, [each.tolist() for each in several]]
    return {"mask": mask, "exclude": draw(st.sampled_from(forms))}


def same(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(deadline=None, max_examples=100)
@given(retrieval=retrievals(), data=st.data())
def test_any_masks_and_exclusions_together_are_the_reference(retrieval, data):
    queries, codes = retrieval[:2]
    chosen = data.draw(selections(len(queries), len(codes)))
    database = data.draw(st.sampled_from([codes, in_parts(codes, 3)]))
    with mock.patch.object(_selection, "MASK_BYTES", data.draw(st.sampled_from([8, 2**26]))):
        answers_are_the_reference(retrieval, database, chosen, data)


def answers_are_the_reference(retrieval, database, chosen, data):
    queries, codes, *labels = retrieval
    k, radius = data.draw(st.integers(1, len(codes) + 2)), data.draw(st.integers(0, 70))
    same(ranking.within(queries, database, radius, **chosen), reference.within(queries, codes, radius, **chosen))
    same(ranking.count(queries, database, radius, **chosen), reference.count(queries, codes, radius, **chosen))
    same(ranking.histogram(queries, database, **chosen), reference.histogram(queries, codes, **chosen))
    counts = reference.histogram(queries, codes, **chosen).sum(axis=1)
    if counts.min() >= min(k, counts.max()):
        same(ranking.rank(queries, database, k, **chosen), reference.rank(queries, codes, k, **chosen))
    else:
        with pytest.raises(ValueError, match=f"k: expected at most {counts.min()}, the number of items that query"):
            ranking.rank(queries, database, k, **chosen)
    choices = {
        name: data.draw(st.sampled_from(values)) for name, values in (("ties", TIES), ("normalizer", NORMALIZERS))
    }
    actual = metrics.average_precision(queries, database, *labels, k, **choices, **chosen)
    expected = reference.average_precision(queries, codes, *labels, k, **choices, **chosen)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)
    histograms = metrics.relevance_histograms(queries, database, *labels, gains=True, **chosen)
    oracle = reference.relevance_histograms(queries, codes, *labels, gains=True, **chosen)
    for name in ("precision_at", "recall_at", "ndcg_at", "acg_at", "wap_at"):
        scores = getattr(metrics, name)(histograms, k), getattr(reference, name)(oracle, k)
        np.testing.assert_allclose(*scores, rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("many", [False, True])
def test_files_in_ranges_give_the_same_answers(monkeypatch, tmp_path, many):
    monkeypatch.setattr(_database, "RANGE_BYTES", 20)
    rng = np.random.default_rng(3)
    codes, labels = seeded_codes(3, 33, 16), rng.integers(0, 4, 33)
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    exclude = [rng.integers(0, 33, 24 if many else 3) for _ in codes]
    for mask in (None, rng.random(33) < 0.8, rng.random((33, 33)) < 0.8):
        chosen = {"mask": mask, "exclude": exclude}
        same(ranking.rank(codes, mapped, 4, **chosen), reference.rank(codes, codes, 4, **chosen))
        same(ranking.within(codes, mapped, 5, **chosen), reference.within(codes, codes, 5, **chosen))
        for ties, normalizer, k in itertools.product(("expected", "index"), ("retrieved", "min"), (5, None)):
            choices = {"ties": ties, "normalizer": normalizer}
            actual = metrics.average_precision(codes, mapped, labels, labels, k, **choices, **chosen)
            expected = reference.average_precision(codes, codes, labels, labels, k, **choices, **chosen)
            np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_all_copies_of_an_item_can_be_excluded():
    codes = seeded_codes(0, 30, 16)[np.arange(60) % 30]
    copies = [np.flatnonzero((codes == code).all(axis=1)) for code in codes]
    found = ranking.rank(codes, codes, 5, exclude=copies)
    assert not any(np.isin(row, own).any() for row, own in zip(found.indices, copies, strict=True))


def test_sums_of_gains_that_lose_digits_are_not_subtracted_from():
    labels = np.ones((3, 70), dtype=np.uint8)
    labels[1:, 1:] = 0
    codes = np.zeros((3, 2), dtype=np.uint8)
    found = metrics.relevance_histograms(codes, codes, labels, labels, gains=True, exclude="self")
    assert found.exponential_gains[:, 0].tolist() == [2, 2, 2]


def test_an_evaluation_is_that_of_the_database_without_the_items():
    rng = np.random.default_rng(0)
    queries, codes = seeded_codes(0, 9, 16), seeded_codes(1, 300, 16)
    for shape in ((), (4,)):
        labels, db_labels = rng.integers(0, 2, (9, *shape)), rng.integers(0, 2, (300, *shape))
        mask, left = np.ones(300, dtype=bool), np.setdiff1d(np.arange(300), [5, 77])
        mask[5] = False
        found = vtsearch.evaluate(queries, codes, labels, db_labels, 50, mask=mask, exclude=[[77, 5]] * 9)
        cut = vtsearch.evaluate(queries, codes[left], labels, db_labels[left], 50)
        assert found.database == 298
        assert found.excluded == 9
        assert {**found.to_dict(), "excluded": 0} == cut.to_dict()
        assert vtsearch.evaluate(queries, Database(codes, mask=mask, labels=db_labels), labels) == vtsearch.evaluate(
            queries, codes, labels, db_labels, mask=np.packbits(mask)
        )


def test_a_comparison_leaves_the_same_items_out_of_both():
    codes, others, labels = seeded_codes(0, 40, 16), seeded_codes(1, 40, 32), np.arange(40) % 3
    settings = {"query_labels": labels, "db_labels": labels}
    found = vtsearch.compare(codes, codes, others, others, exclude="self", **settings)
    for side, score in ((codes, found.mean_average_precision), (others, found.other_mean_average_precision)):
        assert score == metrics.mean_average_precision(side, side, labels, labels, exclude="self")
    assert found.database == 39


def test_progress_of_queries_one_by_one_never_falls_and_ends_with_all(monkeypatch):
    calls = []
    monkeypatch.setattr(_selection, "MOST_DROPPED", 0)
    ranking.rank(QUERIES, CODES, 2, exclude=[0, 1, 2], progress=lambda *done: calls.append(done))
    assert calls == sorted(calls)
    assert calls[-1] == (20, 20)


def test_no_queries_exclude_nothing():
    none = {"mask": np.ones((0, 20), dtype=bool), "exclude": []}
    assert ranking.rank(QUERIES[:0], CODES, 3, **none).indices.shape == (0, 3)
    assert ranking.within(QUERIES[:0], CODES, 3, **none).offsets.tolist() == [0]
    assert ranking.histogram(QUERIES[:0], CODES, **none).shape == (0, 17)
    assert metrics.average_precision(QUERIES[:0], CODES, LABELS[0][:0], LABELS[1], **none).shape == (0,)


def test_a_query_that_may_find_nothing_counts_0():
    mask = np.ones((3, 20), dtype=bool)
    mask[1] = False
    for ties in TIES:
        assert metrics.average_precision(QUERIES, CODES, *LABELS, ties=ties, mask=mask)[1] == 0


@pytest.mark.parametrize("k", [None, 20, 25])
def test_rows_of_different_lengths_are_refused_rather_than_cut_or_padded(k):
    message = r"k: expected at most 19, the number of items that query 1 may find \(others up to 20\), got"
    with pytest.raises(ValueError, match=message):
        ranking.rank(QUERIES, CODES, k, exclude=[-1, 4, -1])
    assert ranking.rank(QUERIES, CODES, 19, exclude=[-1, 4, -1]).indices.shape == (3, 19)
    assert ranking.rank(QUERIES, CODES, k, exclude=[0, 4, 4]).indices.shape == (3, 19)


@EVERY_CALL
@pytest.mark.parametrize(
    ("exclude", "kind", "message"),
    [
        ("self", ValueError, "exclude: expected as many queries as database codes for 'self', got 3 queries and 20"),
        ("ids", ValueError, "exclude: expected 'self', positions .*, got 'ids'"),
        ([1, 2], ValueError, "exclude: expected 3 rows, one for each of query_codes, got 2"),
        ([[1], [2]], ValueError, "exclude: expected 3 rows, one for each of query_codes, got 2"),
        ([1, 20, 3], ValueError, r"exclude: expected positions from 0 to 19, or -1 for none, got 20 \(query 1\)"),
        ([[1], [], [3, -2]], ValueError, r"exclude: expected positions from 0 to 19, .*, got -2 \(query 2\)"),
        (np.full(3, 2**64 - 1, dtype=np.uint64), ValueError, "exclude: expected positions from 0 to 19"),
        ([0.0, 1.0, 2.0], TypeError, "exclude: expected integers, positions in the database, got float64"),
        ([True, False, True], TypeError, "exclude: expected integers, positions in the database, got bool"),
        ([["a"], ["b"], ["c"]], TypeError, "exclude: expected integers, positions in the database"),
        (np.zeros((3, 2, 2), dtype=int), ValueError, "exclude: expected 'self', positions"),
        ([np.zeros((2, 2), dtype=int)] * 3, ValueError, "exclude: expected 'self', positions"),
        (5, ValueError, "exclude: expected 'self', positions"),
    ],
)
def test_other_exclusions_are_refused(call, exclude, kind, message):
    with pytest.raises(kind, match=message):
        call(QUERIES, CODES, exclude=exclude)


@EVERY_CALL
@pytest.mark.parametrize(
    ("mask", "kind", "message"),
    [
        (np.ones((2, 20), dtype=bool), ValueError, r"mask: expected bool \(20,\) or \(3, 20\), .*got \(2, 20\)"),
        (np.ones((20, 3), dtype=bool), ValueError, r"mask: expected bool \(20,\) or \(3, 20\), .*got \(20, 3\)"),
        (np.ones((3, 20), dtype=np.uint8), ValueError, r"mask: expected \(3, 3\) bytes of packed bits.*astype\(bool\)"),
        (np.ones((3, 20)), TypeError, r"mask: expected bool \(3, 20\) or uint8 .*, got float64"),
        (np.ones((1, 3, 20), dtype=bool), ValueError, r"mask: expected bool \(20,\)"),
    ],
)
def test_other_masks_are_refused(call, mask, kind, message):
    with pytest.raises(kind, match=message):
        call(QUERIES, CODES, mask=mask)


@EVERY_CALL
def test_a_mask_beside_a_database_with_one_is_refused(call):
    database = Database(CODES, mask=np.ones(20, dtype=bool))
    for mask in (np.ones(20, dtype=bool), np.ones((3, 20), dtype=bool)):
        with pytest.raises(ValueError, match="mask: expected none beside a database with a mask, got both"):
            call(QUERIES, database, mask=mask)


@EVERY_CALL
def test_masks_and_positions_may_be_lists(call):
    mask = np.random.default_rng(0).random((3, 20)) < 0.9
    lists = call(QUERIES, CODES, mask=mask.tolist(), exclude=[[0], [1, 1], []])
    arrays = call(QUERIES, CODES, mask=mask, exclude=np.array([[0, -1], [1, 1], [-1, -1]]))
    assert str(lists) == str(arrays)


def test_an_evaluation_of_nothing_is_refused():
    with pytest.raises(ValueError, match="mask: expected at least one item that a query may find, got none"):
        vtsearch.evaluate(QUERIES, CODES, *LABELS, mask=np.zeros(20, dtype=bool))
