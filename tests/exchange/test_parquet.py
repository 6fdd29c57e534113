"""Parquet: everything of an index and back, files of other tools, and DuckDB's answers."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exchange_fixtures import (
    DESCRIPTION,
    FINGERPRINTS,
    STRANGE_IDS,
    assert_equal_answers,
    assert_equal_content,
    random_codes,
)

from vtsearch.errors import VtsearchError
from vtsearch.exchange import export, items, parquet, read
from vtsearch.index import Index

pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'vtsearch[parquet]'")
pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'vtsearch[parquet]'")

ABOUT = {"fingerprints": FINGERPRINTS, "description": DESCRIPTION, "classes": ["cat", "dög"]}


@pytest.fixture
def small_ranges(monkeypatch):
    for module in (items, parquet):
        monkeypatch.setattr(module, "ROWS", 8)


@pytest.mark.parametrize("bits", [1, 12, 64, 256])
@pytest.mark.parametrize("labels", ["none", "single", "multi"])
def test_a_round_trip_keeps_everything(make_index, exchanged, small_ranges, bits, labels):
    ids = STRANGE_IDS + [f"{i}.jpg" for i in range(40)]
    index = make_index(50, bits, ids=ids, labels=labels, metadata=True, **ABOUT)
    assert_equal_content(index, exchanged(index, "codes.parquet"))


def test_an_empty_index_and_one_without_metadata(make_index, exchanged):
    assert_equal_content(
        make_index(0, 12, name="empty"), exchanged(make_index(0, 12, **ABOUT), "a.parquet"), without=["facts"]
    )
    assert_equal_content(make_index(5, name="five"), exchanged(make_index(5, name="same"), "b.parquet"))


def test_the_file_has_typed_columns_and_row_groups(make_index, tmp_path, small_ranges):
    export(make_index(50, 12, labels="multi", metadata=True, **ABOUT), tmp_path / "codes.parquet")
    file = pq.ParquetFile(tmp_path / "codes.parquet")
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types == {
        "id": "string",
        "code": "fixed_size_binary[2]",
        "labels": "list<element: int64>",
        "size": "int64",
        "score": "double",
        "taken": "string",
        "author": "string",
    }
    assert file.metadata.num_row_groups == 7
    facts = json.loads(file.schema_arrow.metadata[b"vtsearch"])
    assert (facts["bits"], facts["bit_order"], facts["threshold"]) == (12, "big", "feature > 0")
    assert facts["fingerprints"] == FINGERPRINTS


def test_content_in_memory_and_into_an_index(make_index, tmp_path):
    index = make_index(9, labels="single", metadata=True, fingerprints=FINGERPRINTS)
    export(index, tmp_path / "codes.parquet")
    content = read(tmp_path / "codes.parquet")
    assert content.codes.tobytes() == index.codes().tobytes()
    assert content.ids == index.ids()
    assert content.labels.tolist() == index.labels().tolist()
    assert content.metadata == index.metadata()
    assert (content.fingerprints, content.classes, content.description) == (FINGERPRINTS, (), {})
    with Index.create(tmp_path / "more", 64, fingerprints=FINGERPRINTS) as more:
        assert content.into(more) == 9
        assert_equal_content(index, more)
        with pytest.raises(ValueError, match="ids: expected new ids"):
            content.into(more)
    with Index.create(tmp_path / "other", 64, fingerprints={"model": "0"}) as other:
        with pytest.raises(VtsearchError, match="fingerprints: "):
            content.into(other)
        assert len(other) == 0
    with (
        Index.create(tmp_path / "short", 63) as short,
        pytest.raises(VtsearchError, match=r"codes\.parquet: expected codes of 63 bits as in .*short, got 64"),
    ):
        content.into(short)


def table_of(codes, **columns):
    width = codes.shape[1]
    return pa.table({"hash": pa.array([bytes(row) for row in codes], pa.binary(width)), **columns})


def test_a_table_of_another_tool_is_read(tmp_path):
    codes = random_codes(9, 64)
    columns = {
        "id": pa.array(range(9), pa.int32()),
        "label": pa.array(range(9), pa.uint8()),
        "taken": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 8 + [None], pa.timestamp("us", "UTC")),
        "exact": pa.array([10**18 + 1] * 9, pa.timestamp("ns")),
        "day": pa.array([dt.date(2024, 1, 1)] * 9),
        "seen": pa.array([True, None] * 4 + [False]),
    }
    pq.write_table(table_of(codes, **columns), tmp_path / "other.pq")
    content = read(tmp_path / "other.pq")
    assert content.bits == 64
    content.create(tmp_path / "new")
    with Index.open(tmp_path / "new") as index:
        assert index.codes().tobytes() == codes.tobytes()
        assert (index.ids(), index.labels().tolist()) == (list(map(str, range(9))), list(range(9)))
        assert index.metadata()["taken"] == ["2024-01-01 00:00:00"] * 8 + [None]
        assert index.metadata()["exact"] == ["2001-09-09 01:46:40"] * 9
        assert index.metadata()["day"] == ["2024-01-01"] * 9
        assert index.metadata()["seen"] == [1, None] * 4 + [0]


@pytest.mark.parametrize("kind", ["binary", "large_binary"])
def test_codes_of_any_binary_type_and_lists_of_classes(tmp_path, kind):
    codes, lists = random_codes(4, 12), [[0, 3], [], [1], [3]]
    values = pa.array([bytes(row) for row in codes], getattr(pa, kind)())
    pq.write_table(pa.table({"codes": values, "labels": lists}), tmp_path / "other.parquet")
    content = read(tmp_path / "other.parquet", bits=12)
    assert content.codes.tobytes() == codes.tobytes()
    assert content.ids is None
    assert content.labels.tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


def test_the_column_of_codes_can_be_named(tmp_path):
    one, two = random_codes(4, 64), random_codes(4, 64, seed=5)
    table = table_of(one, other=pa.array([bytes(row) for row in two], pa.binary(8)))
    pq.write_table(table, tmp_path / "two.parquet")
    with pytest.raises(ValueError, match=r"codes: expected the name of the column .* which has hash, other"):
        read(tmp_path / "two.parquet")
    with pytest.raises(ValueError, match=r"codes: expected a column of .*, got 'othr' \(did you mean 'other'\?\)"):
        read(tmp_path / "two.parquet", codes="othr")
    assert read(tmp_path / "two.parquet", codes="other").codes.tobytes() == two.tobytes()


CODES = random_codes(3, 64)
BAD = {
    "no codes": (pa.table({"id": ["a"]}), "codes: expected the name of the column"),
    "text as codes": (pa.table({"code": ["a"]}), "expected binary values in column 'code', got string"),
    "codes of two lengths": (pa.table({"code": [b"ab", b"abc"]}), "expected codes of 2 bytes in column 'code'"),
    "an empty code": (pa.table({"code": [b""]}), "expected codes in column 'code', got no or an empty one"),
    "no code": (table_of(CODES).set_column(0, "code", pa.array([b"a", None, b"b"], pa.binary(1))), "'code', got null"),
    "no id": (table_of(CODES, id=["a", None, "b"]), "column 'id', got null"),
    "an id twice": (table_of(CODES, id=["a", "b", "a"]), "ids: expected different ids, got 'a' twice"),
    "labels of floats": (table_of(CODES, label=[0.5, 1.0, 2.0]), "expected integers in column 'label', got double"),
    "no label": (table_of(CODES, label=[1, None, 2]), "column 'label', got null"),
    "lists of text": (table_of(CODES, labels=[["a"], [], []]), "expected lists of integers in column 'labels'"),
    "a class below 0": (table_of(CODES, labels=[[-1], [], []]), "expected class ids of 0 to 0"),
    "no list": (table_of(CODES, labels=[[1], None, []]), "column 'labels', got null"),
    "no class": (table_of(CODES, labels=[[1, None], [], []]), "column 'labels', got null"),
    "nested metadata": (table_of(CODES, box=[[1], [2], [3]]), "metadata: column 'box': expected numbers"),
    "a strange name": (table_of(CODES, **{"two words": [1, 2, 3]}), "metadata: expected names of letters"),
    "numbers beyond 64 bits": (
        table_of(CODES, big=pa.array([2**64 - 1] * 3, pa.uint64())),
        "column 'big': expected integers of 64 bits",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_columns_that_are_no_items_leave_no_index(tmp_path, what):
    table, says = BAD[what]
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises((ValueError, TypeError), match=says) as caught:
        read(tmp_path / "bad.parquet").create(tmp_path / "new")
    assert "bad.parquet" in str(caught.value) or "codes: " in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.parquet"]


def test_codes_of_another_length_than_the_file_says_are_refused(make_index, tmp_path):
    export(make_index(3, 12), tmp_path / "codes.parquet")
    with pytest.raises(ValueError, match=r"bits: expected 12 as in .*codes\.parquet, got 13"):
        read(tmp_path / "codes.parquet", bits=13)
    pq.write_table(pa.table({"code": [b"\xff\xff"]}), tmp_path / "padded.parquet")
    with pytest.raises(ValueError, match=r"padded\.parquet: codes: expected 0 in the bits after bit 11"):
        assert read(tmp_path / "padded.parquet", bits=12).codes is None


@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(make_index, tmp_path, part):
    path = tmp_path / "codes.parquet"
    export(make_index(9, metadata=True), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(VtsearchError, match=r"codes\.parquet: expected a whole Parquet file"):
        read(path)


def test_damaged_pages_leave_no_index(make_index, tmp_path):
    path = tmp_path / "codes.parquet"
    export(make_index(500, metadata=True, labels="multi"), path)
    content = path.read_bytes()
    refused = []
    for place in range(4, len(content) // 2, max(len(content) // 60, 1)):
        path.write_bytes(content[:place] + bytes(32) + content[place + 32 :])
        try:
            read(path).create(tmp_path / "new")
        except (VtsearchError, ValueError, TypeError) as error:
            refused.append(str(error))
            assert not (tmp_path / "new").exists()
        else:
            shutil.rmtree(tmp_path / "new")
    assert len(refused) > 10
    assert all("codes.parquet" in text for text in refused), refused


def facts_with(**changes):
    facts = {"format": 1, "bit_order": "big", "threshold": "feature > 0", "bits": 64, "fingerprints": {}, "classes": []}
    return json.dumps(facts | {"description": {}, "label_classes": None} | changes)


@pytest.mark.parametrize(
    "facts",
    [
        "{",
        "[]",
        "{}",
        "[" * 9000,
        facts_with(format=2),
        facts_with(bit_order="little"),
        facts_with(threshold="feature >= 0"),
        facts_with(bits=0),
        facts_with(bits="64"),
        facts_with(fingerprints=[1]),
        facts_with(classes=1),
        facts_with(label_classes=-1),
        facts_with(more=1),
    ],
)
def test_facts_that_are_none_are_refused(tmp_path, facts):
    table = table_of(CODES).replace_schema_metadata({"vtsearch": facts})
    pq.write_table(table, tmp_path / "facts.parquet")
    with pytest.raises(VtsearchError, match=r"facts\.parquet: expected "):
        read(tmp_path / "facts.parquet")


def test_what_parquet_cannot_hold_is_refused_and_leaves_no_file(make_index, tmp_path):
    with pytest.raises(ValueError, match=r"ids: expected Unicode text, got '\\udcff.jpg'"):
        export(make_index(2, ids=["a", "\udcff.jpg"]), tmp_path / "codes.parquet")
    with Index.create(tmp_path / "named", 64) as named:
        named.add(CODES, metadata={"Code": [1, 2, 3]})
        with pytest.raises(
            ValueError, match="metadata: expected columns named otherwise than code, labels, got 'Code'"
        ):
            export(named, tmp_path / "codes.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named", "source"]


def documented_sql():
    page = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text()
    blocks = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    return [block for block in blocks if "codes.parquet" in block]


@pytest.mark.parametrize("bits", [12, 64, 256])
def test_duckdb_gives_our_answers_by_the_documented_sql(make_index, tmp_path, monkeypatch, bits):
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb: pip install duckdb")
    index = make_index(200, bits, ids=[f"{i}.jpg" for i in range(200)], labels="single", metadata=True)
    monkeypatch.chdir(tmp_path)
    export(index, "codes.parquet")
    queries = random_codes(5, bits, seed=3)
    nearest, within, joined = documented_sql()
    with duckdb.connect() as database:
        for query in queries:
            answers = index.search(query, 10)
            rows = database.execute(nearest, {"query": query.tobytes()}).fetchall()
            assert [distance for _, distance in rows] == answers.distances[0].tolist()
            assert [name for name, _ in rows] == answers.ids[0]  # ties too: by position
            found = database.execute(within, {"query": query.tobytes(), "radius": bits // 3}).fetchall()
            expected = index.within(query, bits // 3, where="label = 2 AND size > 5")
            names = index.ids_at(expected.indices.tolist())
            pairs = [(names[i], d) for d, i in zip(expected.distances.tolist(), expected.indices.tolist(), strict=True)]
            assert sorted(found) == sorted(pairs)
        export(make_index(5, bits, name="queries"), "queries.parquet")
        rows = database.execute(joined).fetchall()
    everything = index.search(Index.open("queries").codes(), 3)
    for query in range(5):
        pairs = [(distance, name) for asked, name, distance in rows if asked == str(query)]
        assert_equal_answers(pairs, list(zip(everything.distances[query].tolist(), everything.ids[query], strict=True)))


MEMORY = """
import resource, sys
import numpy as np
from vtsearch.exchange import export, items, parquet, read
from vtsearch.index import Index
items.ROWS = parquet.ROWS = 4096
n = int(sys.argv[2])
if sys.argv[1] == "make":
    with Index.create("many", 64) as index:
        for start in range(0, n, 20_000):
            rows = range(start, start + 20_000)
            codes = np.random.default_rng(start).integers(0, 256, (len(rows), 8), dtype=np.uint8)
            ids, notes = [f"a/long/folder/name/{i}.jpg" for i in rows], [f"note {i} " * 40 for i in rows]
            index.add(codes, ids, metadata={"note": notes})
else:
    with Index.open("many") as index:
        export(index, "many.parquet")
    assert sum(len(part.codes) for part in read("many.parquet").ranges()) == n
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_metadata(tmp_path):
    def peak(n):
        (tmp_path / str(n)).mkdir()
        for act in ("make", "exchange"):
            words = [sys.executable, "-c", MEMORY, act, str(n)]
            done = subprocess.run(words, cwd=tmp_path / str(n), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return int(done.stdout) / 1024

    grown = peak(400_000) - peak(20_000)
    assert grown < 100, grown  # MiB; ids and notes of 380,000 items are 240 as Python's strings


def test_random_items_survive(make_index, exchanged):
    for seed in range(3):
        draw = np.random.default_rng(seed)
        bits, n = int(draw.integers(1, 300)), int(draw.integers(1, 40))
        index = make_index(
            n, bits, labels=["none", "single", "multi"][seed], metadata=bool(seed), name=f"random-{seed}"
        )
        assert_equal_content(index, exchanged(index, f"random-{seed}.parquet"))
