"""MultiIndex: what it takes and refuses, what it says of itself, and where its codes may lie."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from strategies import seeded_codes, seeded_near_duplicates

import vtsearch
from vtsearch import Database, MultiIndex
from vtsearch.multi_index import default_tables


def same(one, other):
    for here, there in zip(one, other, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.fixture(scope="module")
def codes():
    return seeded_near_duplicates(1, 2000, 64)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"tables": 0}, ValueError, "tables: expected at least 1, got 0"),
        ({"tables": 65}, ValueError, "tables: expected at most 64, got 65"),
        ({"tables": 2.0}, TypeError, "tables: expected an int, got 2.0"),
        ({"bits": 0}, ValueError, "bits: expected at least 1, got 0"),
        ({"bits": 65}, ValueError, "bits: expected at most 64, got 65"),
        ({"threads": 0}, ValueError, "threads: expected at least 1, got 0"),
        ({"progress": 3}, TypeError, "progress: expected a function"),
    ],
)
def test_wrong_arguments_are_named(codes, wrong, error, message):
    with pytest.raises(error, match=message):
        MultiIndex(codes, **wrong)


@pytest.mark.parametrize("wrong", [np.zeros(8), np.zeros((3, 8)), np.zeros((3, 0), np.uint8), "codes"])
def test_wrong_codes_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="db_codes"):
        MultiIndex(wrong)


def test_wrong_queries_are_refused_as_by_rank(codes):
    index = MultiIndex(codes)
    with pytest.raises(ValueError, match="query_codes: expected 8 bytes"):
        index.rank(codes[:, :4], 3)
    with pytest.raises(ValueError, match="k: expected at least 1"):
        index.rank(codes, 0)
    with pytest.raises(ValueError, match="radius: expected at least 0"):
        index.within(codes, -1)
    with pytest.raises(ValueError, match="mask: expected bool"):
        index.rank(codes, 3, mask=np.ones(7, bool))
    for call in (index.rank, index.within):
        with pytest.raises(ValueError, match="plan: expected one of auto, tables, scan, got 'fast'"):
            call(codes, 3, plan="fast")


@pytest.mark.parametrize("plan", ["auto", "tables", "scan"])
@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("q", [0, 1, 3])
def test_few_or_no_codes(plan, n, q):
    database, queries = seeded_codes(1, n, 64), seeded_codes(2, q, 64)
    index = MultiIndex(database)
    same(index.rank(queries, 5, plan=plan), vtsearch.rank(queries, database, 5))
    same(index.within(queries, 64, plan=plan), vtsearch.within(queries, database, 64))


@pytest.mark.parametrize("bits", [1, 3, 7, 8, 9, 15])
@pytest.mark.parametrize("plan", ["auto", "tables", "scan"])
def test_codes_shorter_than_a_key(bits, plan):
    codes = seeded_codes(3, 100, bits)
    for tables in (1, bits):
        index = MultiIndex(codes, bits=bits, tables=tables)
        same(index.rank(codes, 100, plan=plan), vtsearch.rank(codes, codes))
        same(index.within(codes, 2, plan=plan), vtsearch.within(codes, codes, 2))


@pytest.mark.parametrize("width", [100, 8191])
def test_wide_codes(width):
    codes = seeded_near_duplicates(4, 60, 8 * width)
    index = MultiIndex(codes)
    same(index.rank(codes, 4, plan="tables"), vtsearch.rank(codes, codes, 4))
    same(index.within(codes, 40, plan="tables"), vtsearch.within(codes, codes, 40))


def test_a_single_code_is_a_batch_of_one(codes):
    index = MultiIndex(codes)
    same(index.rank(codes[5], 3, plan="tables"), vtsearch.rank(codes[5], codes, 3))


def test_bits_after_the_length_count_as_in_a_scan(codes):
    index = MultiIndex(codes, bits=50)
    same(index.rank(codes[:9], 20, plan="tables"), vtsearch.rank(codes[:9], codes, 20))
    same(index.within(codes[:9], 7, plan="tables"), vtsearch.within(codes[:9], codes, 7))


def test_a_database_of_several_arrays_with_a_mask(codes):
    mask = np.arange(len(codes)) % 3 > 0
    database = Database([codes[:700], codes[700:701], codes[701:]], mask=mask)
    index = MultiIndex(database)
    same(index.rank(codes[:9], 20, plan="tables"), vtsearch.rank(codes[:9], codes, 20, mask=mask))
    same(index.within(codes[:9], 3, plan="tables"), vtsearch.within(codes[:9], codes, 3, mask=mask))
    with pytest.raises(ValueError, match="mask: expected none beside a database with a mask"):
        index.rank(codes[:9], 20, mask=mask)
    with pytest.raises(ValueError, match="copies: expected True for a database of 3 arrays, got False"):
        MultiIndex(database, copies=False)


def test_a_mapped_file_is_read_in_place(codes, tmp_path):
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    index = MultiIndex(mapped, copies=False, tables=4)
    assert index.nbytes < 4 * (4 * 2000 + 4 * (2**11 + 1)) + 1
    same(index.rank(codes[:9], 20, plan="tables"), vtsearch.rank(codes[:9], codes, 20))


@pytest.mark.parametrize("copies", [True, False])
def test_a_pickle_answers_the_same(codes, copies):
    index = pickle.loads(pickle.dumps(MultiIndex(codes, copies=copies)))
    same(index.rank(codes[:9], 20, plan="tables"), vtsearch.rank(codes[:9], codes, 20))


def test_the_longest_code_has_no_more_tables_than_pay():
    assert default_tables(10_000_000, 64) == 4
    assert default_tables(10_000_000, 64, copies=False) == 3
    assert default_tables(100_000_000, 64) == 3
    assert default_tables(0, 64) == 8
    assert default_tables(10, 4) == 1
    assert default_tables(10, 65528) == 32


def test_progress_and_size_are_told(codes):
    told = []
    index = MultiIndex(codes, tables=5, threads=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert len(index) == 2000
    assert repr(index) == f"MultiIndex(2,000 codes of 64 bits, 5 tables, {index.nbytes / 1e6:.1f} MB)"


def test_an_explanation_says_what_was_done(codes):
    index = MultiIndex(codes, tables=4)
    _, how = index.within(codes[:6], 3, plan="tables", explain=True)
    assert how.tables == 4
    assert how.by_tables.all()
    np.testing.assert_array_equal(how.keys, 4)
    np.testing.assert_array_equal(how.radius, 3)
    assert (how.candidates >= 4).all()
    assert str(how).startswith("6 of 6 queries by 4 tables (median: 4 keys, ")
    _, how = index.rank(codes[:6], 3, plan="scan", explain=True)
    assert not how.by_tables.any()
    assert str(how) == "0 of 6 queries by 4 tables, 6 by a scan"


def test_what_tables_find_is_kept_however_many_queries_they_leave_to_a_scan():
    rng = np.random.default_rng(0)
    database = rng.integers(0, 256, (2**20, 8), dtype=np.uint8)
    queries = rng.integers(0, 256, (12, 8), dtype=np.uint8)
    queries[::4] = database[:3]
    found, how = MultiIndex(database).rank(queries, 1, explain=True)
    same(found, vtsearch.rank(queries, database, 1))
    assert how.by_tables.tolist() == [True, False, False, False] * 3


def test_masks_of_queries_are_explained_for_each(codes):
    masks = np.random.default_rng(0).random((6, 2000)) < 0.5
    _, how = MultiIndex(codes).rank(codes[:6], 3, mask=masks, plan="tables", explain=True)
    assert how.by_tables.tolist() == [True] * 6


def test_a_search_makes_no_searcher_anew(codes):
    index = MultiIndex(codes)
    assert index._tables.recorded("scan")._native is index._tables._native
    assert (index._tables.plan, index._tables.recorded("scan").plan) == ("auto", "scan")


@pytest.mark.parametrize("change", ["begins", "items", "table"])
def test_the_engine_refuses_tables_that_would_lead_it_astray(codes, change):
    tables = vtsearch._native.build_tables([codes], 64, 4, 11, 0, 4, False, 1)
    begins, items, _ = tables[1]
    if change == "begins":
        tables[1] = (begins[:-1].copy(), items, None)
    elif change == "items":
        items[7] = 2000
    else:
        tables[1] = (begins, items, codes)
    with pytest.raises(ValueError, match="tables: expected"):
        vtsearch._native.Tables([(tables, 11)], codes, 8, 64)


@pytest.mark.parametrize("value", [2**31, 2001, 0])
@pytest.mark.parametrize("array", [0, 1, 2])
def test_damaged_tables_from_a_file_are_searched_without_leaving_their_memory(codes, array, value):
    tables = vtsearch._native.build_tables([codes], 64, 4, 11, 0, 4, True, 1)
    rng = np.random.default_rng(0)
    for table in tables:
        flat = table[array].reshape(-1)
        flat[rng.integers(0, len(flat), len(flat) // 2)] = value % 2 ** (8 * flat.itemsize)
    engine = vtsearch._native.Tables([(tables, 11)], None, 8, 64)
    for mask in (None, np.full(250, 0xFF, dtype=np.uint8)):
        (distances, indices), _, _ = engine.rank(codes[:20], 5, mask, True, 1)
        assert distances.shape == indices.shape == (20, 5)
        (offsets, *_), _, _ = engine.within(codes[:20], 3, mask, False, 1)
        assert len(offsets) == 21


def test_a_radius_of_all_bits_is_answered_for_wide_codes():
    codes = seeded_codes(5, 600, 8 * 8191)
    index = MultiIndex(codes)
    same(index.within(codes[:2], 8 * 8191), vtsearch.within(codes[:2], codes, 8 * 8191))
