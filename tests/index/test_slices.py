"""Views of consecutive items: the answers of the whole index on those items, with positions from 0."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import vtsearch
from vtsearch import reference
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, IndexView, changes, tables
from vtsearch.index.view import GenerationGoneError, Span

BITS = 44


def codes_of(seed, count):
    return reference.pack(np.random.default_rng(seed).integers(0, 2, (count, BITS)))


def labels_of(form, seed, count):
    rng = np.random.default_rng(seed)
    return {
        "none": None,
        "single": rng.integers(0, 5, count),
        "multi": (rng.random((count, 11)) < 0.3).astype(np.uint8),
    }[form]


def grown(folder, form="single", *, removed=True):
    """An index of several segments, with metadata that some of them lack, from which items have been removed."""
    index = Index.create(folder, BITS, indexed=["number"])
    for seed, count in enumerate((40, 1, 25, 60)):
        names = [f"{seed}/{n}" for n in range(count)]
        metadata = {"number": range(count), "word": ["a", "b"] * (count // 2) + ["c"] * (count % 2)} if seed else None
        index.add(codes_of(seed, count), names, labels_of(form, seed, count), metadata)
    if removed:
        index.remove(["0/0", "0/7", "0/39", "2/3", *(f"3/{n}" for n in range(20, 26))])
    return index


def cuts(count, seed=0):
    rng = np.random.default_rng(seed)
    some = np.sort(rng.integers(0, count + 1, (8, 2)), axis=1).tolist()
    return [(0, count), (0, 0), (count, count), (3, 4), *map(tuple, some)]


def same_arrays(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["none", "single", "multi"])
@pytest.mark.parametrize("removed", [False, True])
def test_a_view_has_the_items_of_the_index(tmp_path, form, removed):
    index = grown(tmp_path / "index", form, removed=removed)
    ids, labels, metadata = index.ids(), index.labels(), index.metadata()
    for start, stop in cuts(len(index)):
        view = index.between(start, stop)
        assert len(view) == stop - start
        assert view.ids() == ids[start:stop]
        assert view.metadata() == {name: values[start:stop] for name, values in metadata.items()}
        np.testing.assert_array_equal(view.codes(), index.codes()[start:stop])
        if labels is None:
            assert view.labels() is None
        else:
            same_arrays([view.labels()], [labels[start:stop]])
        places = np.random.default_rng(stop).integers(0, max(stop - start, 1), 5 if stop > start else 0)
        assert view.ids_at(places.tolist()) == {place: ids[start + place] for place in places.tolist()}
        assert view.metadata_at(places) == index.metadata_at(places + start)
        found = np.array([ids.index(name) for name in ids])
        expected = np.where((found >= start) & (found < stop), found - start, -1)
        assert view.positions_of([*ids, "unknown"]).tolist() == [*expected.tolist(), -1]
        for condition in ("number > 11", "word = 'c' OR id GLOB '0*'", "id = '3/30'"):
            same_arrays([view.where(condition)], [index.where(condition)[start:stop]])
    assert (view.bits, view.columns(), view.indexed) == (index.bits, index.columns(), index.indexed)
    assert (view.fingerprints, view.classes, view.description) == ({}, (), {})
    assert (view.path, view.generation) == (index.path, index.generation)


@pytest.mark.parametrize("removed", [False, True])
def test_a_view_answers_as_arrays_of_its_items(tmp_path, removed):
    index, queries = grown(tmp_path / "index", removed=removed), codes_of(9, 6)
    for start, stop in cuts(len(index), 1):
        view, codes, ids = index.between(start, stop), index.codes()[start:stop], index.ids()[start:stop]
        found = view.search(queries, 7)
        same_arrays(found[:2], reference.rank(queries, codes, 7))
        assert found.ids == [[ids[place] for place in row] for row in found.indices.tolist()]
        same_arrays(view.within(queries, 18), reference.within(queries, codes, 18))
        same_arrays([view.count(queries, 18)], [vtsearch.count(queries, codes, 18)])
        same_arrays([view.histogram(queries)], [vtsearch.histogram(queries, codes)])
        short = vtsearch.prefix(codes, 13)
        same_arrays(view.search(queries, 3, bits=13)[:2], vtsearch.rank(vtsearch.prefix(queries, 13), short, 3))
        allowed = view.where("number < 30")
        same_arrays(view.search(queries, 3, where="number < 30")[:2], vtsearch.rank(queries, codes, 3, mask=allowed))
        expected = vtsearch.rank(codes, codes, None, exclude=(themselves := np.arange(stop - start)))
        same_arrays(view.search(codes, exclude=themselves)[:2], expected)
        assert view.deduplicate(8).representatives.tolist() == vtsearch.deduplicate(codes, 8).representatives.tolist()


@pytest.mark.parametrize("form", ["single", "multi"])
def test_a_view_is_evaluated_as_arrays_of_its_items(tmp_path, form):
    index, queries = grown(tmp_path / "index", form), codes_of(9, 6)
    truth = labels_of(form, 9, 6)
    for start, stop in ((5, 90), (38, 70)):
        view = index.between(start, stop)
        expected = vtsearch.evaluate(
            queries, index.codes()[start:stop], truth, index.labels()[start:stop], 10, bits=BITS
        )
        assert view.evaluate(queries, truth, 10) == expected


def test_a_view_of_a_view_s_items_is_that_of_the_index(tmp_path):
    index = grown(tmp_path / "index")
    assert index.between(7, 80).search_items(["2/5"], 3).ids == (
        Index.open(index.path).between(7, 80).search_items(["2/5"], 3).ids
    )


def test_a_segment_that_is_whole_keeps_its_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LEAST_BYTES", 60)
    monkeypatch.setattr(changes, "MOST_ROWS", 50)
    index = grown(tmp_path / "index")
    index.compact(tables=True)
    assert [bool(segment.tables) for segment in index.segments] == [True, True, True, True]
    sizes = [segment.items for segment in index.segments]
    view, queries = index.between(sizes[0] - 5, len(index)), codes_of(9, 4)
    assert [bool(segment.tables) for segment in view.segments] == [False, True, True, True]
    found, how = view.search(queries, 4, explain=True)
    same_arrays(found[:2], reference.rank(queries, view.codes(), 4))
    assert (how.items, how.tabled) == (len(view), sum(sizes[1:]))


def test_a_view_stays_at_its_generation(tmp_path):
    index = grown(tmp_path / "index")
    view, before = index.between(30, 60), index.ids()[30:60]
    index.remove(where="number < 50")
    index.compact()
    assert view.ids() == before
    assert view.generation != index.generation


def test_a_view_is_pickled_and_copied_as_its_name(tmp_path):
    index = grown(tmp_path / "index")
    view = index.between(30, 60)
    content = pickle.dumps(view)
    assert len(content) < 600
    for other in (pickle.loads(content), copy.copy(view), copy.deepcopy(view)):
        assert other.ids() == view.ids()
        assert other.spans == (Span(index.path.absolute(), 30, 60, index.generation),)
        assert other.generation == view.generation
    index.remove(["1/0"])
    with pytest.raises(
        GenerationGoneError, match=r"expected generation .*: the index has changed; open the view of it"
    ):
        pickle.loads(content)


def test_a_view_changes_nothing(tmp_path):
    view = grown(tmp_path / "index").between(2, 9)
    for name in ("add", "upsert", "remove", "compact", "describe", "decide", "refresh"):
        with pytest.raises(AttributeError, match=rf"{name}: expected an Index, got IndexView\(.*index\[2:9\]\), which"):
            getattr(view, name)
    with pytest.raises(AttributeError, match="'IndexView' object has no attribute 'ad'"):
        view.ad  # noqa: B018


def test_a_closed_view_answers_nothing(tmp_path):
    with grown(tmp_path / "index").between(2, 9) as view:
        codes = view.codes()
    for question in (
        len,
        IndexView.ids,
        pickle.dumps,
        lambda view: view.search(codes, 1),
        lambda view: view.generation,
    ):
        with pytest.raises(VtsearchError, match="this view of an index is closed; open it again"):
            question(view)
    assert repr(view).endswith("index[2:9], closed)")


def test_bounds_that_are_none(tmp_path):
    index = grown(tmp_path / "index")
    with pytest.raises(TypeError, match="start: expected an int, got 'a'"):
        index.between("a", 2)
    with pytest.raises(TypeError, match=r"stop: expected an int, got 2\.5"):
        index.between(0, 2.5)
    with pytest.raises(ValueError, match="start: expected at least 0, got -1"):
        index.between(-1, 2)
    with pytest.raises(ValueError, match="stop: expected at least 4, got 3"):
        index.between(4, 3)
    with pytest.raises(ValueError, match="stop: expected at most"):
        index.between(0, len(index) + 1)


# Items of several indexes


def spans_of(*indexes):
    return [Span(index.path.absolute(), 0, len(index), index.generation) for index in indexes]


def test_a_view_of_several_indexes_has_the_items_of_each(tmp_path):
    one = grown(tmp_path / "one")
    two = Index.create(tmp_path / "two", BITS)
    two.add(codes_of(5, 9), ["0/3", *"abcdefgh"], labels_of("single", 5, 9), {"size": range(9), "number": [3] * 9})
    empty = Index.create(tmp_path / "empty", BITS)
    view, queries = IndexView.open(spans_of(empty, one, two)), codes_of(9, 4)
    codes = np.concatenate([one.codes(), two.codes()])
    same_arrays(view.search(queries, 8)[:2], reference.rank(queries, codes, 8))
    assert view.ids() == one.ids() + two.ids()
    assert view.labels().tolist() == [*one.labels().tolist(), *two.labels().tolist()]
    assert view.metadata()["size"] == [None] * len(one) + list(range(9))
    assert np.flatnonzero(view.where("size > 6")).tolist() == [len(one) + 7, len(one) + 8]
    assert view.columns() == {"number": "INTEGER", "word": "TEXT", "size": "INTEGER"}
    assert view.generation == f"{empty.generation}+{one.generation}+{two.generation}"
    assert view.path == empty.path
    assert view.position("0/3") == len(one)  # an id of two indexes names the item of the last one
    assert pickle.loads(pickle.dumps(view)).ids() == view.ids()


@pytest.mark.parametrize(
    ("described", "content", "message"),
    [
        ({"bits": 40}, {}, "bits: expected 44 in .*two, as in .*one, got 40"),
        ({"fingerprints": {"model": "b"}}, {}, "fingerprints: .*one has model a, .*two model b"),
        ({"classes": ["dog"]}, {}, "classes: expected those of .*one in .*two, got others"),
        (
            {},
            {"labels": np.eye(2, dtype=np.uint8)},
            "labels: expected one label per item in .*two, as in .*one, got 0/1",
        ),
        ({}, {}, "labels: expected one label per item in .*two, as in .*one, got no labels"),
        ({}, {"labels": [1, 2], "metadata": {"year": ["x", "y"]}}, "metadata: expected year INTEGER in .*, got TEXT"),
        ({}, {"labels": [1, 2], "metadata": {"Year": [1, 2]}}, "two, beside .*one: metadata: "),
    ],
)
def test_indexes_that_do_not_belong_together(tmp_path, described, content, message):
    indexes = []
    settings = {"bits": BITS, "fingerprints": {"model": "a"}, "classes": ["cat", "cow"]}
    content = {"labels": None, "metadata": None} | content
    for name, own, items in (
        ("one", {}, {"labels": [1, 2], "metadata": {"year": [1, 2]}}),
        ("two", described, content),
    ):
        index = Index.create(tmp_path / name, **(settings | own))
        index.add(codes_of(0, 2)[:, : -(-index.bits // 8)], **items)
        indexes.append(index)
    with pytest.raises(VtsearchError, match=message):
        IndexView.open(spans_of(*indexes))


def test_a_span_of_no_index(tmp_path):
    with pytest.raises(VtsearchError, match=r"index\.sqlite"):
        IndexView.open([Span(Path(tmp_path / "none"), 0, 1, "x")])
