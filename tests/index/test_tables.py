"""Tables of codes in an index: the answers of a scan, whatever has been removed, added, masked or excluded since."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import vtsearch
from vtsearch import reference
from vtsearch._tables import Tables
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, SearchExplanation, changes, generation, tables

BITS = 44
ITEMS = 1_200


def clustered(count: int, seed: int) -> np.ndarray:
    """Codes near some centers, of BITS bits in six bytes."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(7).integers(0, 2, (40, BITS))
    noise = rng.random((count, BITS)) < 0.08
    return reference.pack(centers[rng.integers(0, 40, count)] ^ noise)


@pytest.fixture
def small(monkeypatch):
    """Segments of few items have tables, and these answer."""
    monkeypatch.setattr(tables, "LEAST_BYTES", 600)
    monkeypatch.setattr(Tables, "plan", "tables")


@pytest.fixture
def index(small, tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(clustered(ITEMS, 0), metadata={"number": range(ITEMS)})
        index.compact(tables=True)
        yield index


def same(index: Index, *, tabled: list[bool]) -> None:
    """All searches answer as the reference does; ``tabled``: which segments have tables, by which they answer."""
    assert [bool(segment.tables) for segment in index.segments] == tabled
    items = sum(segment.items for segment in index.segments if segment.tables)
    codes, queries = index.codes(), clustered(12, 1)
    rng = np.random.default_rng(3)
    for mask in (None, rng.random(len(codes)) < 0.4):
        answers, how = index.search(queries, 9, mask=mask, explain=True)
        expected = reference.rank(queries, codes, 9, mask=mask)
        np.testing.assert_array_equal(answers.distances, expected.distances)
        np.testing.assert_array_equal(answers.indices, expected.indices)
        assert (how.items, how.tabled) == (len(codes), items)
        assert (how.tables is not None) == any(tabled)
        assert how.tables is None or how.tables.by_tables.tolist() == [True] * 12
        neighbors, how = index.within(queries, 5, mask=mask, explain=True)
        assert how.tables is None or how.tables.by_tables.tolist() == [True] * 12
        for found, wanted in zip(neighbors, reference.within(queries, codes, 5, mask=mask), strict=True):
            np.testing.assert_array_equal(found, wanted)
    masks = rng.random((len(queries), len(codes))) < 0.5
    answers = index.search(queries, 4, mask=masks)
    for query, mask, row in zip(queries, masks, answers.indices, strict=True):
        assert row.tolist() == reference.rank(query[None], codes, 4, mask=mask).indices[0].tolist()
    positions = np.array([0, len(codes) - 1, 5])
    answers = index.search(codes[positions], 3, exclude=positions)
    for position, row in zip(positions, answers.indices, strict=True):
        others = np.arange(len(codes)) != position
        assert row.tolist() == reference.rank(codes[[position]], codes, 3, mask=others).indices[0].tolist()


def test_tables_answer_as_a_scan_does(index):
    same(index, tabled=[True])
    same(Index.open(index.path), tabled=[True])
    same(pickle.loads(pickle.dumps(index)), tabled=[True])
    index.verify()


def test_items_that_are_added_are_scanned_until_the_next_compact(index):
    index.add(clustered(150, 4), metadata={"number": range(ITEMS, ITEMS + 150)})
    same(index, tabled=[True, False])
    index.compact()
    same(index, tabled=[True])
    assert len(index) == ITEMS + 150


def test_tables_stay_when_items_are_removed(index):
    (before,) = index.segments
    index.remove(where="number % 7 = 3 OR number = 0")
    (after,) = index.segments
    assert (after.tables, after.codes) == (before.tables, after.codes)
    assert after.codes != before.codes
    same(index, tabled=[True])
    index.upsert(clustered(3, 5), ["1", "8", "new"])
    same(index, tabled=[True, False])
    same(Index.open(index.path), tabled=[True, False])


def test_a_segment_of_which_little_is_left_loses_its_tables_with_its_rows(index):
    index.remove(where="number > 300")
    assert [segment.tables for segment in index.segments] == [""]
    assert not list((index.path / "tables").iterdir())
    same(index, tabled=[False])


def test_tables_go_when_they_are_not_wanted_any_more(index):
    before = Index.open(index.path)
    index.compact(tables=False)
    assert not list((index.path / "tables").iterdir())
    same(index, tabled=[False])
    index.compact()
    same(index, tabled=[False])
    same(before, tabled=[True])


def test_small_segments_and_short_codes_have_no_tables(small, tmp_path):
    with Index.create(tmp_path / "few", BITS) as index:
        index.add(clustered(99, 0))
        index.compact(tables=True)
        same(index, tabled=[False])
    with Index.create(tmp_path / "short", 16) as index:
        index.add(clustered(ITEMS, 0)[:, :2])
        index.compact(tables=True)
        assert not (index.path / "tables").exists()


def test_damaged_tables_are_found_by_verify(index):
    path = next((index.path / "tables").iterdir())
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(VtsearchError, match=rf"{path.name}: expected sha256"):
        Index.open(index.path).verify()
    path.write_bytes(content[:-1])
    with pytest.raises(VtsearchError, match=r"expected \d+ bytes, got \d+: the file is damaged"):
        Index.open(index.path)


def test_tables_are_not_made_of_damaged_codes(small, tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(clustered(ITEMS, 0))
        path = next((index.path / "codes").iterdir())
        content = bytearray(path.read_bytes())
        content[-1] ^= 0x10
        path.write_bytes(content)
        with pytest.raises(VtsearchError, match="expected sha256"):
            index.compact(tables=True)
        assert [segment.tables for segment in Index.open(index.path).segments] == [""]


def test_the_planner_takes_tables_for_near_items_and_a_scan_for_far_ones(tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (600_000, 8), dtype=np.uint8)
    queries = codes[rng.integers(0, len(codes), 8)]
    with Index.create(tmp_path / "index", 64) as index:
        index.add(codes)
        index.compact(tables=True)
        near, how = index.search(queries, 1, explain=True)
        assert how.tables.by_tables.all()
        assert str(how).startswith("600,000 items with tables: 8 of 8 queries by 5 tables (median: ")
        far, how = index.search(queries, 100, explain=True)
        assert not how.tables.by_tables.any()
        assert str(how).startswith("600,000 items with tables: 0 of 8 queries by 5 tables, 8 by a scan")
        for found, k in ((near, 1), (far, 100)):
            expected = vtsearch.rank(queries, codes, k)
            np.testing.assert_array_equal(found.indices, expected.indices)
            np.testing.assert_array_equal(found.distances, expected.distances)


def test_a_search_without_tables_is_explained_too(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(clustered(20, 0))
        _, how = index.search(clustered(2, 1), 3, explain=True)
        assert how == SearchExplanation(20, 0, None)
        assert str(how) == "20 items without tables by a scan"


def test_several_segments_with_tables_answer_as_one(small, tmp_path, monkeypatch):
    monkeypatch.setattr(changes, "MOST_ROWS", 500)
    codes = clustered(1_900, 0)
    with Index.create(tmp_path / "index", BITS) as index:
        for start, stop in ((0, 500), (500, 540), (540, 1_040), (1_040, 1_400), (1_400, 1_900)):
            index.add(codes[start:stop], metadata={"number": range(start, stop)})
        index.compact(tables=True)
        same(index, tabled=[True, False, True, True, True])
        index.remove(where="number % 5 = 2 OR number BETWEEN 600 AND 610")
        same(index, tabled=[True, False, True, True, True])
        index.verify()


def test_segments_beyond_what_tables_number_are_scanned(small, tmp_path, monkeypatch):
    monkeypatch.setattr(changes, "MOST_ROWS", 500)
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(clustered(1_000, 0))
        index.compact(tables=True)
    monkeypatch.setattr(generation, "MOST_TABLED", 700)
    with Index.open(tmp_path / "index") as index:
        answers, how = index.search(clustered(5, 1), 3, explain=True)
        assert (how.items, how.tabled) == (1_000, 500)
        expected = reference.rank(clustered(5, 1), index.codes(), 3)
        np.testing.assert_array_equal(answers.indices, expected.indices)


def test_progress_ends_with_all_items(index):
    index.add(clustered(150, 4))
    for queries in (clustered(3, 1), clustered(1, 2)):
        done: list[tuple[int, int]] = []
        index.search(queries, 5, progress=lambda *how_far, done=done: done.append(how_far))
        assert done == sorted(done)
        assert done[-1] == (ITEMS + 150, ITEMS + 150)


def test_tables_take_a_bool(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index, pytest.raises(TypeError, match="tables: expected True"):
        index.compact(tables=1)
