from __future__ import annotations

import json
import sqlite3
import zlib

import numpy as np
import pytest

from vtsearch import count, deduplicate, evaluate, histogram, rank, reference, within
from vtsearch.errors import VtsearchError
from vtsearch.index import Index

BITS = 20


def codes_of(seed: int, n: int, bits: int = BITS) -> np.ndarray:
    return reference.pack(np.random.default_rng(seed).integers(0, 2, (n, bits)))


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "index", BITS, fingerprints={"model": "a" * 64}) as index:
        yield index


def test_what_is_added_comes_back_after_reopening(tmp_path):
    codes, labels = codes_of(0, 5), np.array([3, 1, 4, 1, 5])
    described = {"classes": ("x", "y"), "description": {"images": "here"}, "fingerprints": {"split": "s"}}
    with Index.create(tmp_path / "index", BITS, **described) as index:
        index.add(codes, ["a", "b", "c", "d", "é"], labels, {"page": [1, None, 3, 4, 5]})
    with Index.open(tmp_path / "index") as index:
        assert (len(index), index.bits, index.classes) == (5, BITS, ("x", "y"))
        assert (index.description, index.fingerprints) == ({"images": "here"}, {"split": "s"})
        assert index.codes().tolist() == codes.tolist()
        assert index.ids() == ["a", "b", "c", "d", "é"]
        assert index.labels().dtype == np.int64
        assert index.labels().tolist() == labels.tolist()
        assert index.metadata() == {"page": [1, None, 3, 4, 5]}
        index.verify()


def test_ids_are_positions_unless_given(index):
    index.add(codes_of(0, 2))
    index.add(codes_of(1, 2))
    assert index.ids() == ["0", "1", "2", "3"]


def test_the_description_changes_and_classes_come(tmp_path):
    with Index.create(tmp_path / "index", BITS, classes=("a", "b"), description={"images": "here"}) as index:
        index.add(codes_of(0, 2), labels=[0, 1])
        index.describe({"images": "there"}, classes=["a", "b", "c"])
        with Index.open(index.path) as again:
            again.verify()
            assert (again.description, again.classes) == ({"images": "there"}, ("a", "b", "c"))
        index.describe(classes=["a", "b", "c", "d"])
        assert (index.description, index.classes) == ({"images": "there"}, ("a", "b", "c", "d"))
        for wrong in (["b", "a", "c", "d"], ["a", "b"]):
            with pytest.raises(ValueError, match=r"classes: expected the 4 classes of .* first, got"):
                index.describe(classes=wrong)
        with pytest.raises(TypeError, match="description: expected strings by name, got 3 for 'n'"):
            index.describe({"n": 3})


@pytest.mark.parametrize("classes", [2, 8, 9, 80])
def test_multi_label_labels_come_back(tmp_path, classes):
    labels = np.random.default_rng(classes).integers(0, 2, (30, classes)).astype(np.float64).astype(np.int8)
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes_of(0, 20), labels=labels[:20])
        index.add(codes_of(1, 10), labels=labels[20:])
        assert index.labels().dtype == np.uint8
        assert index.labels().tolist() == labels.tolist()


def test_an_index_without_labels_has_none(index):
    index.add(codes_of(0, 2))
    assert index.labels() is None


def test_an_empty_index_answers_with_nothing(index):
    assert len(index) == 0
    assert index.codes().shape == (0, 3)
    assert index.search(codes_of(0, 2), k=3).ids == [[], []]
    index.verify()


def test_one_segment_is_mapped_and_not_read(index):
    index.add(codes_of(0, 9))
    assert isinstance(index.codes(), np.memmap)
    assert index.codes().flags.aligned


@pytest.mark.parametrize("sizes", [(40,), (1, 39), (13, 13, 14), (0, 20, 20), (1,) * 8 + (32,)])
@pytest.mark.parametrize("k", [1, 7, 40, 99, None])
def test_answers_are_ordered_by_distance_and_index_over_all_segments(tmp_path, sizes, k):
    codes, queries = codes_of(0, 40, 5), codes_of(1, 6, 5)
    with Index.create(tmp_path / "index", 5) as index:
        for part in np.split(codes, np.cumsum(sizes)[:-1]):
            index.add(part)
        answers = index.search(queries, k)
    expected = reference.rank(queries, codes, k)
    assert answers.distances.tolist() == expected.distances.tolist()
    assert answers.indices.tolist() == expected.indices.tolist()
    assert answers.ids == [[str(i) for i in row] for row in expected.indices.tolist()]
    assert (answers.distances.dtype, answers.indices.dtype) == (np.int32, np.int64)


def test_masked_items_do_not_exist(tmp_path):
    codes, mask = codes_of(0, 30), np.random.default_rng(2).random(30) < 0.4
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes[:11])
        index.add(codes[11:])
        answers = index.search(codes[:3], mask=mask)
    assert answers.indices.tolist() == reference.rank(codes[:3], codes, mask=mask).indices.tolist()


def test_a_single_query_is_a_batch_of_one(index):
    codes = codes_of(0, 4)
    index.add(codes)
    assert index.search(codes[2], k=1).ids == [["2"]]


def test_one_code_is_read_from_its_segment(index):
    codes = codes_of(0, 9)
    for part in np.split(codes, [2, 7]):
        index.add(part)
    assert [index.code(position).tolist() for position in range(9)] == codes[:, None].tolist()
    for position in (-1, 9):
        with pytest.raises(IndexError, match=f"position: expected one of 9 items, got {position}"):
            index.code(position)


def test_the_position_of_an_id_is_found(index):
    index.add(codes_of(0, 2), ["a", "b"])
    assert index.position("b") == 1
    with pytest.raises(KeyError, match="c"):
        index.position("c")


@pytest.mark.parametrize("name", ["", " ", "\x00", "\x1b[31m", "\udce9.jpg", "\ud83d", "😀", "x" * 100_000, "../é"])
def test_any_string_is_an_id(index, name):
    index.add(codes_of(0, 3), ["a", name, "z"])
    with Index.open(index.path) as again:
        assert again.ids() == ["a", name, "z"]
        assert again.ids_at([1]) == {1: name}
        assert (again.position(name), again.position("z")) == (1, 2)
        with pytest.raises(ValueError, match="ids: expected new ids, got"):
            again.add(codes_of(1, 1), [name])


def test_ids_of_one_checksum_are_told_apart(index):
    one, other = "plumless", "buckeroo"
    assert zlib.crc32(one.encode()) == zlib.crc32(other.encode())
    index.add(codes_of(0, 2), ["a", one])
    with pytest.raises(KeyError, match=other):
        index.position(other)
    index.add(codes_of(1, 2), [other, "b"])
    assert (index.position(one), index.position(other)) == (1, 2)
    with pytest.raises(ValueError, match="ids: expected new ids, got 'buckeroo'"):
        index.add(codes_of(2, 1), [other])


def test_every_id_is_found_among_many(index):
    names = [f"images/{number * 7919 % 3000:05d}.jpg" for number in range(3000)]
    for start in range(0, 3000, 1000):
        index.add(codes_of(start, 1000), names[start : start + 1000])
    assert [index.position(name) for name in names] == list(range(3000))
    assert index.ids_at([0, 2999, 1000, 999]) == {i: names[i] for i in (0, 999, 1000, 2999)}
    assert index.ids_at([]) == {}
    for name in ("images/03000.jpg", "", "images/00000"):
        with pytest.raises(KeyError):
            index.position(name)
    with pytest.raises(TypeError, match="name: expected a string, got int"):
        index.position(5)
    for position in (-1, 3000):
        with pytest.raises(IndexError, match=f"position: expected one of 3000 items, got {position}"):
            index.ids_at([5, position])


def test_labels_in_another_byte_order_come_back(index):
    index.add(codes_of(0, 3), labels=np.array([1, -2, 2**40], ">i8"))
    assert index.labels().tolist() == [1, -2, 2**40]
    index.verify()


def test_metadata_of_some_segments_only_come_back(index):
    index.add(codes_of(0, 2))
    index.add(codes_of(1, 2), metadata={"name": [None, None]})
    assert index.columns() == {}
    index.add(codes_of(2, 2), metadata={"name": [None, "é"], "size": [0.5, 3]})
    with Index.open(index.path) as again:
        assert again.columns() == {"name": "TEXT", "size": "REAL"}
        assert again.metadata() == {"name": [None] * 5 + ["é"], "size": [None] * 4 + [0.5, 3.0]}
        assert again.metadata_at([5, 0, 5]) == {"name": ["é", None, "é"], "size": [3.0, None, 3.0]}


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"fingerprints": {"model": 5}}, "fingerprints: expected strings by name, got 5 for 'model'"),
        ({"description": {"images": None}}, "description: expected strings by name, got None for 'images'"),
        ({"classes": "cat"}, "classes: expected a sequence of strings, got one string, 'cat'"),
        ({"classes": [1, 2]}, "classes: expected strings, got int"),
    ],
)
def test_what_describes_an_index_are_strings(tmp_path, described, message):
    with pytest.raises(TypeError, match=message):
        Index.create(tmp_path / "index", BITS, **described)
    assert not (tmp_path / "index").exists()


def test_items_of_another_writer_appear_when_this_one_writes(index):
    with Index.open(index.path) as other:
        other.add(codes_of(0, 2), ["a", "b"])
    index.add(codes_of(1, 1), ["c"])
    assert index.ids() == ["a", "b", "c"]


def test_a_reader_keeps_the_items_it_opened(index):
    index.add(codes_of(0, 2))
    with Index.open(index.path) as reader:
        index.add(codes_of(1, 3))
        assert (len(reader), len(reader.ids()), len(reader.codes())) == (2, 2, 2)


BAD = {
    "codes of another dtype": (
        {"codes": np.zeros((2, 3), np.int64)},
        TypeError,
        "codes: expected packed uint8 codes, got int64",
    ),
    "codes as a list": ({"codes": [[1, 2, 3]]}, TypeError, "codes: expected packed uint8 codes, got int64"),
    "codes of another width": (
        {"codes": np.zeros((2, 4), np.uint8)},
        ValueError,
        "codes: expected 3 bytes for 20 bits, got 4",
    ),
    "one code without a row": ({"codes": np.zeros(3, np.uint8)}, ValueError, r"codes: expected \(n, bytes\)"),
    "padding that is not 0": (
        {"codes": np.full((2, 3), 255, np.uint8)},
        ValueError,
        "codes: expected 0 in the bits after bit 19",
    ),
    "too few ids": ({"ids": ["a"]}, ValueError, "ids: expected 2"),
    "ids in one string": ({"ids": "ab"}, TypeError, "ids: expected a sequence of strings, got one string, 'ab'"),
    "ids that are numbers": ({"ids": [1, 2]}, TypeError, "ids: expected strings, got int"),
    "an id twice": ({"ids": ["a", "a"]}, ValueError, "ids: expected different ids, got 'a' twice"),
    "too few labels": ({"labels": [1]}, ValueError, "labels: expected 2 rows, one for each of codes, got 1"),
    "labels that are floats": (
        {"labels": [0.5, 1.0]},
        TypeError,
        r"labels: expected int \(n,\), or 0/1 \(n, classes\), got float64",
    ),
    "counts for labels": ({"labels": [[0, 2], [1, 0]]}, ValueError, "labels: expected 0 and 1"),
    "labels beyond int64": (
        {"labels": np.array([1, 2**63], np.uint64)},
        ValueError,
        "labels: expected labels that fit int64, got 9223372036854775808",
    ),
    "labels beyond int64, big-endian": (
        {"labels": np.array([1, 2**64 - 1], ">u8")},
        ValueError,
        "labels: expected labels that fit int64, got 18446744073709551615",
    ),
    "metadata by row": ({"metadata": [{"a": 1}, {}]}, TypeError, "metadata: expected columns by name, got list"),
    "metadata with numbers as names": ({"metadata": {1: [2, 3]}}, TypeError, "metadata: expected strings as names"),
    "a name that SQL does not take": ({"metadata": {"a b": [2, 3]}}, ValueError, "metadata: .* got 'a b'"),
    "a name that is taken": ({"metadata": {"Label": [2, 3]}}, ValueError, "other than id and label, got 'Label'"),
    "names that differ in case": (
        {"metadata": {"a": [2, 3], "A": [2, 3]}},
        ValueError,
        "metadata: expected names that differ in more than case, got 'A' twice",
    ),
    "one text as a column": ({"metadata": {"a": "xy"}}, TypeError, "metadata: column 'a': expected 2 values, got str"),
    "a number as a column": ({"metadata": {"a": 3}}, TypeError, "metadata: column 'a': expected 2 values, got int"),
    "too little metadata": ({"metadata": {"a": [1]}}, ValueError, "metadata: column 'a': expected 2 values, .* got 1"),
    "numbers and texts": ({"metadata": {"a": [1, "2"]}}, TypeError, "'a': expected numbers or strings, got both"),
    "metadata of lists": ({"metadata": {"a": [[1], [2]]}}, TypeError, "'a': expected numbers, strings .* got list"),
    "metadata beyond 64 bits": ({"metadata": {"a": [1, 2**63]}}, ValueError, "integers of 64 bits, got 922337"),
    "metadata below 64 bits": ({"metadata": {"a": [1, -(2**63) - 1]}}, ValueError, "integers of 64 bits, got -922337"),
    "half a character": ({"metadata": {"a": ["b", "c\udc80"]}}, ValueError, "'a': expected Unicode text, got "),
    "another model": ({"fingerprints": {"model": "b" * 64}}, VtsearchError, "model aaaaaaaaaaaa.*model bbbbbbbbbbbb"),
    "no model": ({"fingerprints": {}}, VtsearchError, r"model \(none\)"),
}


@pytest.mark.parametrize(("changes", "kind", "message"), BAD.values(), ids=BAD)
def test_wrong_items_are_named_and_nothing_is_added(index, changes, kind, message):
    with pytest.raises(kind, match=message):
        index.add(**({"codes": codes_of(0, 2)} | changes))
    assert len(index) == 0
    with Index.open(index.path) as again:
        assert len(again) == 0


def test_an_id_of_an_earlier_segment_is_refused(index):
    index.add(codes_of(0, 2), ["a", "b"])
    with pytest.raises(ValueError, match="ids: expected new ids, got 'b'"):
        index.add(codes_of(1, 2), ["c", "b"])
    assert index.ids() == ["a", "b"]


@pytest.mark.parametrize("labels", [None, [[0, 1], [1, 1]], [[0, 1, 1], [1, 1, 0]]])
def test_labels_of_another_form_are_refused(tmp_path, labels):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes_of(0, 2), labels=[0, 1])
        with pytest.raises(ValueError, match="labels: expected one label per item as in the index, got"):
            index.add(codes_of(1, 2), ["c", "d"], labels)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"k": 0}, ValueError, "k"),
        ({"query_codes": np.zeros((1, 2), np.uint8)}, ValueError, "query_codes"),
        ({"query_codes": np.zeros((1, 3), np.float32)}, TypeError, "query_codes"),
        ({"mask": np.ones(2, bool)}, ValueError, r"mask: expected bool \(3,\), one for each database code, got \(2,\)"),
        ({"mask": np.ones(3, np.int64)}, ValueError, r"mask: expected positions from 0 to 2, ascending"),
    ],
)
def test_a_wrong_search_is_named(index, arguments, kind, message):
    index.add(codes_of(0, 3))
    with pytest.raises(kind, match=message):
        index.search(**({"query_codes": codes_of(1, 1)} | arguments))


@pytest.mark.parametrize(
    ("bits", "kind"),
    [(0, ValueError), (-1, ValueError), (65529, ValueError), (10**30, ValueError), (1.5, TypeError), (True, TypeError)],
)
def test_bits_are_those_of_codes_that_the_engine_compares(tmp_path, bits, kind):
    with pytest.raises(kind, match="bits: expected"):
        Index.create(tmp_path / "index", bits)
    assert not (tmp_path / "index").exists()


def test_a_folder_with_something_in_it_is_not_taken(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="path: expected a new or empty folder"):
        Index.create(tmp_path, BITS)


def test_fingerprints_must_agree_but_a_split_may_be_unknown(tmp_path):
    with Index.create(tmp_path / "index", BITS, fingerprints={"model": "m", "split": "s"}) as index:
        index.check_fingerprints({"model": "m"})
        index.check_fingerprints({"model": "m", "split": "s"})
        with pytest.raises(VtsearchError, match="split s, the given codes split t"):
            index.check_fingerprints({"model": "m", "split": "t"})
        with pytest.raises(VtsearchError, match="preprocessing"):
            index.check_fingerprints({"model": "m", "preprocessing": "p"})


def arrays_of(path):
    with path.open("rb") as file:
        while file.peek(1):
            yield np.load(file)


def test_an_index_is_readable_without_this_package(index):
    index.add(codes_of(0, 2), ["a", "bé"], [7, 8], {"page": [None, 1]})
    with sqlite3.connect(index.path / "index.sqlite") as db:
        about = {name: json.loads(value) for name, value in db.execute("SELECT * FROM about")}
        (name,) = [row[0] for row in db.execute("SELECT name FROM segments")]
    db.close()
    assert (about["bits"], about["bit_order"], about["threshold"]) == (BITS, "big", "feature > 0")
    assert np.load(index.path / "codes" / f"{name}.npy").tolist() == codes_of(0, 2).tolist()
    id_ends, _, labels, ids = arrays_of(index.path / "items" / f"{name}.npy")
    assert (ids.tobytes().decode(), id_ends.tolist(), labels.tolist()) == ("abé", [1, 4], [7, 8])
    with sqlite3.connect(index.path / "metadata" / f"{name}.sqlite") as db:
        assert db.execute("SELECT * FROM items ORDER BY rowid").fetchall() == [("a", 7, None), ("bé", 8, 1)]
    db.close()


def test_masks_are_taken_in_every_form(index):
    index.add(codes_of(0, 11))
    mask = np.arange(11) % 3 == 0
    expected = index.search(codes_of(1, 2), mask=mask)
    for form in (mask.tolist(), np.packbits(mask)):
        found = index.search(codes_of(1, 2), mask=form)
        np.testing.assert_array_equal(found.indices, expected.indices)


@pytest.fixture
def in_segments(tmp_path):
    """An index of four segments, of 5, 1, 9 and 30 items, with its codes and labels."""
    codes, labels = codes_of(0, 45), np.arange(45) % 4
    with Index.create(tmp_path / "segments", BITS) as index:
        for start, stop in ((0, 5), (5, 6), (6, 15), (15, 45)):
            index.add(codes[start:stop], labels=labels[start:stop])
        assert len(index.segments) == 4
        yield index, codes, labels


def test_segments_give_the_answers_of_one_array(in_segments):
    index, codes, _ = in_segments
    queries, mask = codes_of(3, 6), np.arange(45) % 7 != 2
    for form in (None, mask, np.packbits(mask)):
        for actual, expected in zip(
            index.within(queries, 9, mask=form), within(queries, codes, 9, mask=form), strict=True
        ):
            np.testing.assert_array_equal(actual, expected)
        np.testing.assert_array_equal(index.count(queries, 9, mask=form), count(queries, codes, 9, mask=form))
        np.testing.assert_array_equal(index.histogram(queries, mask=form), histogram(queries, codes, mask=form))
        found, expected = index.search(queries, 12, mask=form), rank(queries, codes, 12, mask=form)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.distances, expected.distances)


@pytest.mark.parametrize("radius", [0, 2, 5])
def test_segments_are_deduplicated_as_one_array(in_segments, radius):
    index, codes, _ = in_segments
    expected = deduplicate(codes, radius).representatives
    np.testing.assert_array_equal(index.deduplicate(radius).representatives, expected)
    found = index.deduplicate(radius, max_diameter=radius + 1)
    expected = deduplicate(codes, radius, max_diameter=radius + 1)
    np.testing.assert_array_equal(found.representatives, expected.representatives)
    np.testing.assert_array_equal(found.diameters(index.database()), expected.diameters(codes))


def test_segments_are_matched_as_one_array(in_segments):
    index, codes, _ = in_segments
    old = codes_of(4, 50)
    expected, found = deduplicate(codes, 5, against=old), index.deduplicate(5, against=old)
    np.testing.assert_array_equal(found.matches, expected.matches)
    reverse = deduplicate(old, 5, against=index.database())
    np.testing.assert_array_equal(reverse.matches, deduplicate(old, 5, against=codes).matches)
    assert len(found.redundant()) > 0


@pytest.mark.parametrize("k", [None, 10])
@pytest.mark.parametrize("normalizer", ["retrieved", "relevant", "min"])
def test_segments_are_evaluated_as_one_array(in_segments, k, normalizer):
    index, codes, labels = in_segments
    queries, asked = codes_of(3, 6), np.arange(6) % 4
    expected = evaluate(queries, codes, asked, labels, k, normalizer=normalizer, bits=BITS)
    assert index.evaluate(queries, asked, k, normalizer=normalizer) == expected


def test_an_index_without_labels_is_not_evaluated(index):
    index.add(codes_of(0, 3))
    with pytest.raises(ValueError, match="an index without labels"):
        index.evaluate(codes_of(1, 2), np.array([0, 1]))


@pytest.mark.parametrize(
    "labels",
    [[-1, 2**62], np.array([1, 2], np.uint8), [[0.0, 1.0], [1.0, 0.0]], [[True, False], [False, True]]],
    ids=str,
)
def test_an_index_takes_the_labels_that_the_metrics_take(tmp_path, labels):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes_of(0, 2), labels=labels)
        assert index.labels().tolist() == np.asarray(labels).astype(np.int64).tolist()
        expected = evaluate(codes_of(0, 2), codes_of(0, 2), np.asarray(labels), np.asarray(labels), bits=BITS)
        assert index.evaluate(codes_of(0, 2), np.asarray(labels)) == expected
