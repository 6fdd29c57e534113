"""An index of a hundred million codes: adding, tables, opening, searches by a scan and by tables, memory.

    python benchmarks/large_index.py --items 100000000 --folder large

Clustered codes without metadata and with default ids, on one thread. Answers by tables are compared with those of a
scan of the same files. ``--folder`` keeps the index: a second run measures that one, in a process that has not made it.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from synthetic_codes import flipped, random_codes

import vtsearch
from vtsearch import Index

BITS = 64
CHUNK = 2**22
PER_CLUSTER = 1_000
QUERIES = 64


def codes_of(number, count):
    """Codes around centers, each with the chance of 3 % for every bit to be another."""
    rng = np.random.default_rng(number)
    centers = random_codes(rng, BITS, max(count // PER_CLUSTER, 1))
    return flipped(rng, centers[rng.integers(0, len(centers), count)], 0.03)


def timed(call, *, rounds=1):
    """What a call returns, and the seconds of the middle one of some rounds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - began)
    return result, sorted(times)[len(times) // 2]


def told(what, seconds, more=""):
    print(f"| {what} | {seconds:,.6f} | {more} |", flush=True)


def peak():
    return f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:,.2f} GiB"


def bytes_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def make(folder, items):
    with Index.create(folder, BITS) as index:
        seconds = 0.0
        for start in range(0, items, CHUNK):
            codes = codes_of(start, min(CHUNK, items - start))
            seconds += timed(lambda codes=codes: index.add(codes))[1]
        told("add", seconds, f"{bytes_of(folder) / 1e9:,.2f} GB on disk, {peak()}")
        _, seconds = timed(lambda: index.compact(tables=True))
        told("compact with tables", seconds, f"{bytes_of(folder) / 1e9:,.2f} GB on disk, {peak()}")


def measure(folder):
    index, seconds = timed(lambda: Index.open(folder))
    told("open", seconds, f"{len(index):,} items in {len(index.segments)} segments, {peak()}")
    rng = np.random.default_rng(5)
    queries = flipped(rng, index.database().rows(np.sort(rng.choice(len(index), QUERIES, replace=False))), 0.03)
    scanned = index.database().with_tables(None)
    _, seconds = timed(lambda: index.search(queries[:1], 10, threads=1))
    told("first search, k = 10", seconds, "which touches pages of the tables for the first time")
    told("open file to first answer again", timed(lambda: Index.open(folder).search(queries[:1], 10, threads=1))[1])
    searches = (
        ("k = 10", partial(vtsearch.rank, db_codes=scanned, k=10), partial(index.search, k=10)),
        ("radius 4", partial(vtsearch.within, db_codes=scanned, radius=4), partial(index.within, radius=4)),
    )
    for count, (what, by_scan, by_tables) in itertools.product((1, QUERIES), searches):
        expected, scan = timed(partial(by_scan, queries[:count], threads=1), rounds=3)
        found, tables = timed(partial(by_tables, queries[:count], threads=1), rounds=9)
        for one, other in zip(expected, found, strict=False):
            np.testing.assert_array_equal(one, other)
        told(f"{count} queries, {what}, by a scan", scan)
        told(f"{count} queries, {what}, by tables", tables, f"{scan / tables:,.0f} times")
    print(f"| | | {index.search(queries, 10, threads=1, explain=True)[1]} |")
    told("verify", timed(index.verify)[1], peak())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path, help="where the index is, or is kept")
    args = parser.parse_args()
    print(f"{args.items:,} codes of {BITS} bits, {vtsearch.__version__}\n\n| step | seconds | |\n| --- | ---: | --- |")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "index"
        if not folder.exists():
            make(folder, args.items)
        measure(folder)


if __name__ == "__main__":
    main()
