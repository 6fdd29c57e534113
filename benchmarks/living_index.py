"""The life of an index with three columns of metadata, beside what people use instead.

    python benchmarks/living_index.py --items 10000000 vtsearch faiss+sqlite duckdb sqlite-vec lancedb

Each system gets the same codes, ids and columns, in a folder and a process of its own, with one thread where it can be
told. It is created, filled, opened in a new process, searched (k = 10, the same ten queries, mean), searched under
conditions that 1 % and 50 % of the items fulfil, changed, made small again. Distances of all answers must be equal.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from memory import MEBIBYTE, peak

BYTES, K, QUERIES = 8, 10, 10
REMOVED, UPSERTED = 100_000, 1_000
COLUMNS = ("size", "taken", "score")
CONDITIONS = {
    "where, 1 %, indexed": "size < 100000",
    "where, 50 %, indexed": "size < 5000000",
    "where, 1 %": "score < 0.01",
    "where, 50 %": "score < 0.5",
}


class Data:
    """Codes in clusters, ids and columns; the same for every system."""

    def __init__(self, items: int) -> None:
        rng = np.random.default_rng(0)
        self.codes = rng.integers(0, 256, (items, BYTES), dtype=np.uint8)
        self.queries = rng.integers(0, 256, (QUERIES, BYTES), dtype=np.uint8)
        self.ids = [f"img/{number:09}.jpg" for number in range(items)]
        self.size = rng.integers(0, 10_000_000, items)
        years, months = rng.integers(2000, 2026, items), rng.integers(1, 13, items)
        self.taken = [f"{year}-{month:02}-11" for year, month in zip(years.tolist(), months.tolist(), strict=True)]
        self.score = rng.random(items)

    def rows(self) -> Any:
        """(number, id, size, taken, score) of each item."""
        return zip(range(len(self.ids)), self.ids, self.size.tolist(), self.taken, self.score.tolist(), strict=True)


class Vtsearch:
    """This project."""

    def __init__(self, folder: Path) -> None:
        self._module, self._folder = import_module("vtsearch"), folder / "index"

    def create(self, data: Data) -> None:
        metadata = {"size": data.size, "taken": data.taken, "score": data.score}
        with self._module.Index.create(self._folder, 8 * BYTES, indexed=["size"]) as index:
            index.add(data.codes, data.ids, metadata=metadata)

    def open(self) -> None:
        self._index = self._module.Index.open(self._folder)

    def search(self, query: np.ndarray, where: str | None = None) -> list[int]:
        return self._index.search(query, K, where=where, threads=1).distances[0].tolist()

    def remove(self, data: Data) -> None:
        self._index.remove(data.ids[:: len(data.ids) // REMOVED][:REMOVED])

    def upsert(self, data: Data) -> None:
        metadata = {"size": data.size[:UPSERTED], "taken": data.taken[:UPSERTED], "score": data.score[:UPSERTED]}
        self._index.upsert(data.codes[:UPSERTED], data.ids[:UPSERTED], metadata=metadata)

    def compact(self) -> None:
        self._index.compact()

    def verify(self) -> None:
        self._index.verify()


class FaissAndSqlite:
    """IndexBinaryFlat under IndexBinaryIDMap2 in a file, ids and columns in SQLite, joined by hand; not crash-safe."""

    def __init__(self, folder: Path) -> None:
        self._faiss, self._codes, self._rows = import_module("faiss"), folder / "codes.faiss", folder / "rows.sqlite"
        self._faiss.omp_set_num_threads(1)

    def create(self, data: Data) -> None:
        index = self._faiss.IndexBinaryIDMap2(self._faiss.IndexBinaryFlat(8 * BYTES))
        index.add_with_ids(data.codes, np.arange(len(data.ids)))
        self._faiss.write_index_binary(index, str(self._codes))
        with closing(sqlite3.connect(self._rows)) as db:
            columns = "number INTEGER PRIMARY KEY, id TEXT UNIQUE, size INTEGER, taken TEXT, score REAL"
            db.execute(f"CREATE TABLE items ({columns})")
            db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", data.rows())
            db.execute("CREATE INDEX by_size ON items (size)")
            db.commit()

    def open(self) -> None:
        self._index = self._faiss.read_index_binary(str(self._codes))
        self._db = sqlite3.connect(self._rows)

    def search(self, query: np.ndarray, where: str | None = None) -> list[int]:
        parameters = None
        if where is not None:
            rows = self._db.execute(f"SELECT number FROM items WHERE {where}")
            numbers = np.fromiter((row for (row,) in rows), np.int64)
            parameters = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBatch(numbers))
        distances, _ = self._index.search(query, K, params=parameters)
        return distances[0].tolist()

    def remove(self, data: Data) -> None:
        names = data.ids[:: len(data.ids) // REMOVED][:REMOVED]
        numbers = [self._number(name) for name in names]
        self._index.remove_ids(np.array(numbers))
        self._db.executemany("DELETE FROM items WHERE number = ?", ((number,) for number in numbers))
        self._save()

    def upsert(self, data: Data) -> None:
        rows = list(zip(range(UPSERTED), data.rows(), strict=False))
        found = [(self._number(row[1]), row) for _, row in rows]
        self._index.remove_ids(np.array([number for number, _ in found if number is not None]))
        (last,) = self._db.execute("SELECT max(number) FROM items").fetchone()
        numbers = [last + 1 + at if number is None else number for at, (number, _) in enumerate(found)]
        self._index.add_with_ids(data.codes[:UPSERTED], np.array(numbers))
        new = ((number, *row[1:]) for number, (_, row) in zip(numbers, found, strict=True))
        self._db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)", new)
        self._save()

    def compact(self) -> None:
        self._db.execute("VACUUM")

    def _number(self, name: str) -> int | None:
        row = self._db.execute("SELECT number FROM items WHERE id = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _save(self) -> None:
        self._db.commit()
        self._faiss.write_index_binary(self._index, str(self._codes))


class DuckDb:
    """One table with the code as an unsigned number; a search is a scan in SQL."""

    def __init__(self, folder: Path) -> None:
        self._duckdb, self._path = import_module("duckdb"), folder / "items.duckdb"

    def create(self, data: Data) -> None:
        code = data.codes.view(">u8")[:, 0].astype(np.uint64)
        columns = {"id": data.ids, "size": data.size, "taken": data.taken, "score": data.score, "code": code}
        with self._connected() as db:
            db.register("given", import_module("pyarrow").table(columns))
            db.execute("CREATE TABLE items AS SELECT * FROM given")
            db.execute("CREATE UNIQUE INDEX by_id ON items (id)")
            db.execute("CREATE INDEX by_size ON items (size)")

    def open(self) -> None:
        self._db = self._connected()

    def search(self, query: np.ndarray, where: str | None = None) -> list[int]:
        code = int(query.view(">u8")[0, 0])
        condition = "" if where is None else f"WHERE {where}"
        distance = f"bit_count(xor(code, {code}::UBIGINT))"
        text = f"SELECT {distance} FROM items {condition} ORDER BY 1 LIMIT {K}"
        return [row for (row,) in self._db.execute(text).fetchall()]

    def remove(self, data: Data) -> None:
        names = data.ids[:: len(data.ids) // REMOVED][:REMOVED]
        self._db.execute("DELETE FROM items WHERE id IN (SELECT unnest(?))", [names])

    def upsert(self, data: Data) -> None:
        codes = data.codes[:UPSERTED].view(">u8")[:, 0].tolist()
        rows = [[*row[1:], code] for row, code in zip(data.rows(), codes, strict=False)]
        self._db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)", rows)

    def compact(self) -> None:
        self._db.execute("CHECKPOINT")

    def _connected(self) -> Any:
        db = self._duckdb.connect(str(self._path))
        db.execute("SET threads = 1")
        return db


class SqliteVec:
    """A vec0 table of sqlite-vec with columns of metadata, which has no B-trees."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "items.sqlite"

    def create(self, data: Data) -> None:
        with closing(self._connected()) as db:
            db.execute(
                f"CREATE VIRTUAL TABLE items USING vec0(id TEXT PRIMARY KEY, code bit[{8 * BYTES}], "
                "size INTEGER, taken TEXT, score FLOAT)"
            )
            rows = ((*row[1:], code.tobytes()) for row, code in zip(data.rows(), data.codes, strict=True))
            db.executemany("INSERT INTO items (id, size, taken, score, code) VALUES (?, ?, ?, ?, vec_bit(?))", rows)
            db.commit()

    def open(self) -> None:
        self._db = self._connected()

    def search(self, query: np.ndarray, where: str | None = None) -> list[int]:
        condition = "" if where is None else f"AND {where}"
        text = f"SELECT distance FROM items WHERE code MATCH vec_bit(?) AND k = {K} {condition}"
        return sorted(int(row) for (row,) in self._db.execute(text, (query.tobytes(),)))

    def remove(self, data: Data) -> None:
        names = data.ids[:: len(data.ids) // REMOVED][:REMOVED]
        self._db.executemany("DELETE FROM items WHERE id = ?", ((name,) for name in names))
        self._db.commit()

    def upsert(self, data: Data) -> None:
        self._db.executemany("DELETE FROM items WHERE id = ?", ((name,) for name in data.ids[:UPSERTED]))
        rows = ((*row[1:], code.tobytes()) for row, code in zip(data.rows(), data.codes[:UPSERTED], strict=False))
        self._db.executemany("INSERT INTO items (id, size, taken, score, code) VALUES (?, ?, ?, ?, vec_bit(?))", rows)
        self._db.commit()

    def compact(self) -> None:
        self._db.execute("VACUUM")

    def _connected(self) -> Any:
        module = import_module("pysqlite3" if find_spec("pysqlite3") else "sqlite3")  # that may take no extensions
        db = module.connect(self._path)
        db.enable_load_extension(True)
        import_module("sqlite_vec").load(db)
        return db


class LanceDb:
    """A table of LanceDB searched exactly by Hamming distance; its threads cannot be told."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lancedb = folder / "lance", import_module("lancedb")

    def create(self, data: Data) -> None:
        table = self._lancedb.connect(str(self._folder)).create_table("items", self._table(data, len(data.ids)))
        table.create_scalar_index("size")
        table.create_scalar_index("id")

    def open(self) -> None:
        self._table_ = self._lancedb.connect(str(self._folder)).open_table("items")

    def search(self, query: np.ndarray, where: str | None = None) -> list[int]:
        found = self._table_.search(query[0], vector_column_name="code").distance_type("hamming").limit(K)
        if where is not None:
            found = found.where(where, prefilter=True)
        return [int(distance) for distance in found.to_arrow()["_distance"].to_pylist()]

    def remove(self, data: Data) -> None:
        names = data.ids[:: len(data.ids) // REMOVED][:REMOVED]
        for start in range(0, len(names), 10_000):
            listed = ", ".join(f"'{name}'" for name in names[start : start + 10_000])
            self._table_.delete(f"id IN ({listed})")

    def upsert(self, data: Data) -> None:
        merge = self._table_.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(self._table(data, UPSERTED))

    def compact(self) -> None:
        self._table_.optimize()

    def _table(self, data: Data, count: int) -> Any:
        pa = import_module("pyarrow")
        values = pa.array(data.codes[:count].reshape(-1))
        code = pa.FixedSizeListArray.from_arrays(values, BYTES)
        columns = {"size": data.size[:count], "taken": data.taken[:count], "score": data.score[:count], "code": code}
        return pa.table({"id": data.ids[:count], **columns})


SYSTEMS = {
    "vtsearch": Vtsearch,
    "faiss+sqlite": FaissAndSqlite,
    "duckdb": DuckDb,
    "sqlite-vec": SqliteVec,
    "lancedb": LanceDb,
}


class Clock:
    """Times steps by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, step: Any, *, times: int = 1) -> Any:
        """Run a step; returns what it returns."""
        began = time.perf_counter()
        result = step()
        self.seconds[name] = (time.perf_counter() - began) / times
        print(f"  {name:<24} {self.seconds[name]:10.4f} s", file=sys.stderr, flush=True)
        return result


def fill(name: str, folder: Path, items: int) -> dict[str, Any]:
    """Create and fill, in a process of its own."""
    data, clock, system = Data(items), Clock(), SYSTEMS[name](folder)
    before = peak()
    clock.time("create and add", lambda: system.create(data))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {**clock.seconds, "peak while adding, MiB": (peak() - before) / MEBIBYTE, "disk, MB": size / 1e6}


def live(name: str, folder: Path, items: int) -> dict[str, Any]:
    """Open, search and change, in a process of its own."""
    data, clock, system = Data(items), Clock(), SYSTEMS[name](folder)
    before = peak()
    clock.time("open", system.open)
    answers = {"first answer": clock.time("first answer", lambda: system.search(data.queries[:1]))}
    rest = [data.queries[at : at + 1] for at in range(1, QUERIES)]
    answers["search"] = clock.time("search", lambda: [system.search(query) for query in rest], times=len(rest))
    for label, where in CONDITIONS.items():
        system.search(data.queries[:1], where)
        answers[label] = clock.time(label, lambda where=where: [system.search(q, where) for q in rest], times=len(rest))
    peaked = (peak() - before) / MEBIBYTE
    clock.time(f"remove {REMOVED:,}", lambda: system.remove(data))
    clock.time(f"upsert {UPSERTED:,}", lambda: system.upsert(data))
    answers["after changes"] = [system.search(query) for query in rest]
    clock.time("compact", system.compact)
    answers["after compact"] = [system.search(query) for query in rest]
    if hasattr(system, "verify"):
        clock.time("verify", system.verify)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {**clock.seconds, "peak while searching, MiB": peaked, "disk in the end, MB": size / 1e6, "answers": answers}


def measured(name: str, items: int) -> dict[str, Any]:
    """All figures of a system."""
    folder = Path(tempfile.mkdtemp(prefix="vtsearch-life-"))
    try:
        figures: dict[str, Any] = {}
        for step in ("fill", "live"):
            command = [sys.executable, __file__, name, "--items", str(items), "--step", step, "--folder", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            figures |= json.loads(done.stdout)
        return figures
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Print a table of all systems; 1 if their answers differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("systems", nargs="+", choices=SYSTEMS)
    parser.add_argument("--items", type=int, default=1_000_000, help=f"at least {REMOVED:,}")
    parser.add_argument("--step", choices=("fill", "live"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step is not None:
        step = fill if args.step == "fill" else live
        print(json.dumps(step(args.systems[0], Path(args.folder), args.items)))
        return 0
    found = {}
    for name in args.systems:
        print(name, file=sys.stderr, flush=True)
        found[name] = measured(name, args.items)
    answers = {name: figures.pop("answers") for name, figures in found.items()}
    print(f"{args.items:,} items of {8 * BYTES} bits\n")
    print("| seconds | " + " | ".join(found) + " |\n| --- |" + " ---: |" * len(found))
    rows = dict.fromkeys(label for figures in found.values() for label in figures)
    for label in rows:
        cells = [f"{figures[label]:,.4g}" if label in figures else "-" for figures in found.values()]
        print(f"| {label} | " + " | ".join(cells) + " |")
    equal = all(each == next(iter(answers.values())) for each in answers.values())
    print(f"\nall distances equal: {equal}")
    return int(not equal)


if __name__ == "__main__":
    sys.exit(main())
