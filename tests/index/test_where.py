"""Metadata in columns, and conditions on them: they select what Python selects, and are nothing but expressions."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

import vtsearch
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, changes, generation, where

BITS, N = 32, 600
CODES = np.random.default_rng(0).integers(0, 256, (N, 4), dtype=np.uint8)
IDS = [f"{'cats' if i % 3 else 'dogs'}/{i:03d}.jpg" for i in range(N)]
LABELS = np.arange(N) % 10
FIRST = dt.date(2024, 1, 1)
METADATA = {
    "size": [None if i % 7 == 0 else i * 1000 for i in range(N)],
    "taken": [FIRST + dt.timedelta(days=i) for i in range(N)],
    "sharpness": [i / 4 for i in range(N)],
    "order": ["ä'b\"c"[: i % 6] for i in range(N)],
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Three segments: one with some columns, one with all, one without any and with removed items."""
    with Index.create(tmp_path_factory.mktemp("where") / "index", BITS, indexed=["size", "label"]) as index:
        some = {name: METADATA[name][:200] for name in ("size", "taken")}
        index.add(CODES[:200], IDS[:200], LABELS[:200], some)
        index.add(CODES[200:400], IDS[200:400], LABELS[200:400], {n: each[200:400] for n, each in METADATA.items()})
        gone, last = np.arange(9), np.arange(400, N)
        index.add(CODES[np.append(gone, last)], [*map(str, gone), *IDS[400:]], LABELS[np.append(gone, last)])
        index.remove(map(str, gone))
        yield index


def size(i):
    return METADATA["size"][i] if i < 400 else None


CONDITIONS = {
    "label = 3": ((), lambda i: i % 10 == 3),
    "label = ? and taken > ?": ((3, FIRST + dt.timedelta(days=50)), lambda i: i % 10 == 3 and 50 < i < 400),
    "size < :most": ({"most": 100_000}, lambda i: size(i) is not None and size(i) < 100_000),
    "size IS NULL": ((), lambda i: size(i) is None),
    "NOT size < 100000": ((), lambda i: size(i) is not None and size(i) >= 100_000),
    "id LIKE 'dogs/%'": ((), lambda i: i % 3 == 0),
    "substr(id, 6, 3) IN ('005', '300', '555')": ((), lambda i: i in (5, 300, 555)),
    "sharpness BETWEEN 60 AND 61.5": ((), lambda i: 240 <= i <= 246),
    '"order" = ?': (("ä'b",), lambda i: 200 <= i < 400 and i % 6 == 3),
    "taken >= date('2024-02-01') AND strftime('%m', taken) = '02'": ((), lambda i: 31 <= i < 60 or 397 <= i < 400),
    "1": ((), lambda i: True),
    "NULL": ((), lambda i: False),
    "has_label(label, 4)": ((), lambda i: i % 10 == 4),
    "label = 3 -- the third": ((), lambda i: i % 10 == 3),
    "label = 1 OR /* ( */ label = 2": ((), lambda i: i % 10 in (1, 2)),
    '"LABEL" = 3': ((), lambda i: i % 10 == 3),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_selects_what_it_says(index, condition):
    params, holds = CONDITIONS[condition]
    mask = index.where(condition, params)
    assert (mask.dtype, mask.shape) == (np.bool_, (N,))
    assert np.flatnonzero(mask).tolist() == [i for i in range(N) if holds(i)]
    with Index.open(index.path) as again:
        again.verify()
        np.testing.assert_array_equal(again.where(condition, params), mask)


@pytest.mark.parametrize("seed", range(20))
def test_random_conditions_select_as_python_does(index, seed):
    chance = random.Random(seed)
    low, high, label = chance.randrange(N), chance.randrange(N), chance.randrange(10)
    joined = chance.choice(["AND", "OR"])
    mask = index.where(f"(size >= ? {joined} label = ?) AND NOT (size > ?)", (1000 * low, label, 1000 * high))

    def holds(i):
        known = size(i) is not None
        first = known and size(i) >= 1000 * low
        both = first and i % 10 == label if joined == "AND" else first or i % 10 == label
        return known and both and not size(i) > 1000 * high

    assert np.flatnonzero(mask).tolist() == [i for i in range(N) if holds(i)]


def test_every_question_takes_a_condition(index):
    queries, labels = CODES[:7] ^ 1, LABELS[:7]
    mask = index.where("label < 4")
    asked = {"where": "label < ?", "params": [4]}
    for got, expected in (
        (index.search(queries, 9, **asked), index.search(queries, 9, mask=mask)),
        (index.within(queries, 9, **asked), index.within(queries, 9, mask=mask)),
        ([index.count(queries, 9, **asked)], [index.count(queries, 9, mask=mask)]),
        ([index.histogram(queries, **asked)], [index.histogram(queries, mask=mask)]),
    ):
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert index.evaluate(queries, labels, **asked).to_dict() == index.evaluate(queries, labels, mask=mask).to_dict()
    with pytest.raises(
        ValueError, match="where: expected a condition that holds for at least one item, got 'label < 0'"
    ):
        index.evaluate(queries, labels, where="label < 0")


def test_items_search_for_others_like_them(index):
    names = [IDS[3], IDS[450], IDS[3]]
    answers = index.search_items(names, 4, where="label < 5")
    for row, position in enumerate((3, 450, 3)):
        mask = index.where("label < 5") & (np.arange(N) != position)
        np.testing.assert_array_equal(answers.indices[row], index.search(CODES[position], 4, mask=mask).indices[0])
    assert index.search_items(names, 1, exclude=None).ids == [[name] for name in names]
    assert index.search_items([], 3).indices.shape == (0, 3)
    for ids, message in ((["nowhere"], "got 'nowhere'"), ("ab", "expected a sequence of strings")):
        with pytest.raises((ValueError, TypeError), match=f"ids: .*{message}"):
            index.search_items(ids, 1)
    with pytest.raises(ValueError, match="exclude: expected 'self' or None, got 'ids'"):
        index.search_items(names, 1, exclude="ids")


def test_a_condition_and_a_mask_both_hold(index):
    queries, mask = CODES[:3], np.arange(N) % 2 == 0
    allowed = index.where("label < 5") & mask
    rows = np.stack([mask, ~mask, mask])
    for form in (mask, np.packbits(mask), np.flatnonzero(mask)):
        found = index.search(queries, 20, where="label < 5", mask=form)
        np.testing.assert_array_equal(found.indices, index.search(queries, 20, mask=allowed).indices)
    for form in (rows, np.packbits(rows, axis=1)):
        found = index.search(queries, 20, where="label < 5", mask=form)
        expected = index.search(queries, 20, mask=rows & index.where("label < 5"))
        np.testing.assert_array_equal(found.indices, expected.indices)


def test_deduplicate_takes_a_condition(index):
    found = index.deduplicate(8, where="label < 5", against=CODES[300:320])
    among = np.flatnonzero(index.where("label < 5"))
    expected = vtsearch.deduplicate(index.codes()[among], 8, against=CODES[300:320])
    assert [group.tolist() for group in found.groups()] == [among[group].tolist() for group in expected.groups()]
    np.testing.assert_array_equal(found.matches[among], expected.matches)
    others = np.setdiff1d(np.arange(N), among)
    assert (found.matches[others] == -1).all()
    assert np.isin(others, found.kept()).all()


def test_metadata_follow_the_items_of_an_answer(index):
    answers = index.search(CODES[250:252], 3)
    found = index.metadata_at(answers.indices[1])
    assert found["size"][0] == size(251)
    assert found["sharpness"] == [METADATA["sharpness"][i] if 200 <= i < 400 else None for i in answers.indices[1]]
    assert index.metadata_at([]) == {name: [] for name in index.columns()}


def test_values_come_back_as_sqlite_keeps_them(tmp_path):
    moment = dt.datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 (of no zone)
    zone = dt.timezone(dt.timedelta(hours=2))
    columns = {
        "flag": [True, np.bool_(False), None],
        "small": np.array([1, 2, 3], np.uint8),
        "real": np.array([0.5, np.nan, np.inf]),
        "mixed": [1, 0.5, np.float32(2)],
        "text": np.array(["a", "", "é"]),
        "moment": [moment, moment.replace(tzinfo=zone), moment.replace(microsecond=5)],
        "day": np.array(["2024-05-06", "NaT", "1999-12-31"], "M8[D]"),
        "second": np.array(["2024-05-06T07:08:09", "NaT", "1999-12-31"], "M8[ns]"),
        "large": [2**63 - 1, -(2**63), 0],
        "gaps": ["a", float("nan"), None],
        "nothing": [float("nan"), None, np.nan],
    }
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES[:3], metadata=columns)
        assert index.metadata() == {
            "flag": [1, 0, None],
            "small": [1, 2, 3],
            "real": [0.5, None, float("inf")],
            "mixed": [1.0, 0.5, 2.0],
            "text": ["a", "", "é"],
            "moment": ["2024-05-06 07:08:09", "2024-05-06 05:08:09", "2024-05-06 07:08:09.000005"],
            "day": ["2024-05-06", None, "1999-12-31"],
            "second": ["2024-05-06 07:08:09", None, "1999-12-31 00:00:00"],
            "large": [2**63 - 1, -(2**63), 0],
            "gaps": ["a", None, None],
        }
        assert index.where("moment > ? AND day = ?", (moment, dt.date(1999, 12, 31))).tolist() == [False, False, True]
        other = Index.create(tmp_path / "other", BITS)
        other.add(CODES[:3], metadata=index.metadata())
        assert (other.metadata(), other.columns()) == (index.metadata(), index.columns())


def test_columns_keep_their_type(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES[:1], metadata={"size": [1], "real": [0.5]})
        index.add(CODES[:1], metadata={"real": [3]})
        with pytest.raises(ValueError, match="expected integers in column 'size', as in the index, got floats"):
            index.add(CODES[:1], metadata={"size": [1.5]})
        with pytest.raises(ValueError, match="expected integers in column 'size', as in the index, got strings"):
            index.upsert(CODES[:1], ["0"], metadata={"size": ["1"]})
        with pytest.raises(ValueError, match="metadata: expected names that differ in more than case, got 'Size'"):
            index.add(CODES[:1], metadata={"Size": [1]})
        assert index.metadata() == {"size": [1, None], "real": [0.5, 3.0]}
        assert index.columns() == {"size": "INTEGER", "real": "REAL"}


def test_labels_of_several_classes_are_asked_for_one(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (50, 11), dtype=np.uint8)
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES[:20], labels=labels[:20], metadata={"n": range(20)})
        index.add(CODES[20:50], labels=labels[20:])
        np.testing.assert_array_equal(index.where("has_label(labels, 9)"), labels[:, 9])
        assert not index.where("has_label(labels, 99) or has_label(labels, -1)").any()
        with pytest.raises(ValueError, match="where: no such column: label; columns are id, labels, n"):
            index.where("label = 3")


def test_an_index_without_labels_has_no_column_for_them(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        assert index.where("id = 'a'").tolist() == []
        index.add(CODES[:2], ["a", "b\udcff"])
        assert index.where("id = 'a'").tolist() == [True, False]
        assert index.where("id LIKE 'b%'").tolist() == [False, True]
        with pytest.raises(ValueError, match="where: no such column: label; columns are id"):
            index.where("label = 3")


REFUSED = {
    "labl = 3": (ValueError, "where: no such column: labl; columns are id, label, size, taken, sharpness, order"),
    '"labl" = 3': (ValueError, 'where: no such column: "labl"; .*; texts stand in single quotes'),
    'id = "a"': (ValueError, 'where: no such column: "a"'),
    "": (ValueError, "where: "),
    "1) LIMIT (5": (ValueError, "where: .*syntax error"),
    "1) GROUP BY (1": (ValueError, "where: .*syntax error"),
    "1) UNION SELECT (1": (ValueError, "where: "),
    "1) --": (ValueError, "where: .*syntax error"),
    "1) THEN (1": (ValueError, "where: .*syntax error"),
    "1) /*": (ValueError, "where: "),
    "1; DROP TABLE items": (ValueError, "where: .*syntax error"),
    "id IN (SELECT id FROM items)": (ValueError, "where: expected an expression of columns, parameters and functions"),
    "size = (SELECT max(size) FROM items)": (ValueError, "where: expected an expression"),
    "EXISTS (SELECT 1)": (ValueError, "where: expected an expression"),
    "id IN items": (ValueError, "where: "),
    "id IN sqlite_schema": (ValueError, "where: expected an expression"),
    "id IN pragma_table_list": (ValueError, "where: "),
    "count(*) > 1": (ValueError, "where: "),
    "row_number() OVER () < 3": (ValueError, "where: "),
    "random() > 0": (ValueError, "where: expected an expression .* not authorized to use function: random"),
    "randomblob(1000000000) = 1": (ValueError, "where: expected an expression"),
    "load_extension('x')": (ValueError, "where: expected an expression"),
    "fts3_tokenizer('x')": (ValueError, "where: "),
    "writefile('x', 'y')": (ValueError, "where: "),
    "rowid = 1": (ValueError, "where: no such column: rowid"),
    "_row = 1": (ValueError, "where: no such column: _row"),
    "OID = 1": (ValueError, "where: no such column: OID"),
    "size = ?": (ValueError, "params: expected a value for each parameter of 'size = [?]'"),
    "size = :most": (ValueError, "params: expected a value for each parameter"),
    "size = 'a": (ValueError, "where: unrecognized token"),
    "id = 'a\0b'": (ValueError, "where: expected a condition in SQL"),
    "id = '\udc80'": (ValueError, "where: expected Unicode text"),
}


@pytest.mark.parametrize("condition", REFUSED)
def test_more_than_an_expression_is_refused(index, condition):
    kind, message = REFUSED[condition]
    with pytest.raises(kind, match=message):
        index.where(condition)
    assert len(index) == N


@pytest.mark.parametrize(
    ("condition", "params", "kind", "message"),
    [
        (3, (), TypeError, "where: expected a string, got int"),
        ("size = ?", (1, 2), ValueError, "params: expected a value for each parameter"),
        ("size = ?", 1, TypeError, "params: expected a sequence or mapping of values, got int"),
        ("size = ?", "1", TypeError, "params: expected a sequence or mapping of values, got str"),
        ("size = ?", ([1],), TypeError, "params: expected numbers, strings or dates, got list"),
        ("size = ?", (2**63,), ValueError, "params: expected integers of 64 bits"),
        ("size = ?", ("\udc80",), ValueError, "params: expected Unicode text"),
    ],
)
def test_wrong_arguments_are_named(index, condition, params, kind, message):
    with pytest.raises(kind, match=message):
        index.where(condition, params)


def test_what_takes_too_long_is_stopped(index, monkeypatch):
    monkeypatch.setattr(where, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(where, "_STEPS", 10)
    with pytest.raises(VtsearchError, match="where: stopped after 0 s"):
        index.where("size > 3")


def test_threads_evaluate_a_condition_together(index, monkeypatch):
    conditions = ["size > 3000", "taken IS NULL OR label = 2", "id LIKE 'cats/%'", "has_label(label, 3)"]
    expected = [index.where(condition) for condition in conditions]
    monkeypatch.setattr(generation, "LEAST_SHARED", 0)
    monkeypatch.setattr(generation, "thread_count", lambda _: 3)
    for condition, mask in zip(conditions, expected, strict=True):
        np.testing.assert_array_equal(index.where(condition), mask)
    monkeypatch.setattr(where, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(where, "_STEPS", 10)
    with pytest.raises(VtsearchError, match="where: stopped after 0 s"):
        index.where("size > 3")


def test_large_results_of_functions_are_refused(index):
    with pytest.raises(ValueError, match="where: string or blob too big"):
        index.where("length(replace(printf('%60000000d', size), ' ', 'xxxx')) > 3")


INTERRUPTED = """
import signal, sys, threading, os, time
from vtsearch.index import Index, generation
index = Index.open(sys.argv[1])
generation.LEAST_SHARED = int(sys.argv[2])
slow = " OR ".join(["length(replace(printf('%9000d', size + label), ' ', 'xx')) < 3"] * 200)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    index.where(slow)
except KeyboardInterrupt:
    print("stopped", time.monotonic() - start < 5)
else:
    print("not stopped", time.monotonic() - start)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("least_shared", [0, N + 1])
def test_ctrl_c_stops_a_condition(index, least_shared):
    command = [sys.executable, "-c", INTERRUPTED, str(index.path), str(least_shared)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "stopped True\n", done.stderr


def test_which_columns_are_indexed_changes_no_answer(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES, IDS, LABELS, METADATA)
        before = index.where("size < 50000 AND label = 3")
        name = index.segments[0].name
        index.compact()
        assert index.segments[0].name == name
        index.compact(indexed=["size", "label", "nowhere"])
        assert index.segments[0].name != name
        name = index.segments[0].name
        index.compact(indexed=["label", "nowhere", "size"])
        index.compact()
        assert index.segments[0].name == name
        np.testing.assert_array_equal(index.where("size < 50000 AND label = 3"), before)
        with Index.open(index.path) as again:
            assert again.where("size = 3000").sum() == 1
        index.compact(indexed=[])
        assert index.segments[0].name != name
        np.testing.assert_array_equal(index.where("size < 50000 AND label = 3"), before)


def test_an_old_handle_answers_after_its_files_are_gone(tmp_path):
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES[:300], IDS[:300], LABELS[:300], {"size": METADATA["size"][:300]})
        with Index.open(index.path) as old:
            index.remove(where="label <> 3")
            index.compact()
            assert not (index.path / "metadata" / old.segments[0].files["metadata"]).exists()
            assert old.where("size > 1000").sum() == 256
            assert old.metadata()["size"] == METADATA["size"][:300]
            assert old.metadata_at([5]) == {"size": [5000]}
            old.verify()
        assert index.where("size > 1000").sum() == 26


def test_a_file_that_is_deleted_while_it_is_opened_is_read_from_memory(tmp_path, monkeypatch):
    connect = sqlite3.connect

    def late(name, **options):
        for path in (tmp_path / "index" / "metadata").iterdir():
            path.unlink()
        return connect(name, **options)

    with Index.create(tmp_path / "index", BITS) as index:
        index.add(CODES[:30], IDS[:30], LABELS[:30], {"size": METADATA["size"][:30]})
        monkeypatch.setattr(sqlite3, "connect", late)
        assert index.where("size > 20000").sum() == 7
        assert not list((tmp_path / "index" / "metadata").iterdir())
        assert index.metadata()["size"] == METADATA["size"][:30]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_threads_and_a_forked_child_ask(index):
    expected, failed = index.where("size > 5000 AND id LIKE 'cats%'"), []

    def ask():
        answers = [index.where("size > 5000 AND id LIKE 'cats%'") for _ in range(20)]
        failed.extend(answer for answer in answers if not np.array_equal(answer, expected))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()  # at no moment at which another thread is in SQLite
    if child == 0:
        signal.alarm(60)
        ask()
        os._exit(len(failed) > 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not failed


def test_segments_that_are_read_instead_of_mapped_answer_too(tmp_path, monkeypatch):
    monkeypatch.setattr("vtsearch.index.segments.MOST_MAPPED", 2)
    monkeypatch.setattr(changes, "JOINED", 100)
    with Index.create(tmp_path / "index", BITS) as index:
        for first in range(0, 50, 10):
            part = slice(first, first + 10)
            index.add(CODES[part], IDS[part], LABELS[part], {"size": METADATA["size"][part]})
        with Index.open(index.path) as again:
            again.verify()
            expected = [i for i in range(50) if (size(i) or 0) > 20000]
            assert np.flatnonzero(again.where("size > 20000")).tolist() == expected
