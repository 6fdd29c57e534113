"""MultiIndex beside a scan: how much faster, what it takes, and how much slower at worst.

    python benchmarks/multi_index.py --items 10000000 --codes clusters,random
    python benchmarks/multi_index.py --items 4000000 --mixtures 200

The first prints times of single queries, all of them different, and of batches; the second searches mixtures of
uniform, clustered and equal codes and of codes with few different bits or one substring in common, by rank and by
within, with and without masks, and prints the largest ratios of its time to that of a scan. Both on one thread; every
answer is compared with that of the scan.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from typing import NamedTuple

import numpy as np
from synthetic_codes import flipped, random_codes, sample

import vtsearch
from vtsearch import MultiIndex

QUERIES = 256


def same(one, other):
    for here, there in zip(one, other, strict=True):
        np.testing.assert_array_equal(here, there)


def seconds(call, rounds):
    """The shortest time of a call."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


# ---------------------------------------------------------------------------------------------------------------------
# How much faster


def one_by_one(call, queries):
    """Microseconds of a query, of the middle one: each call has another query."""
    times = []
    for q in range(len(queries)):
        began = time.perf_counter()
        call(queries[q : q + 1])
        times.append(time.perf_counter() - began)
    return 1e6 * float(np.median(times))


def row(name, scan, tables, queries):
    """A line of the table: ``scan`` and ``tables`` answer queries."""
    batches = np.split(queries, QUERIES // 64)
    for batch in batches:
        same(tables(batch), scan(batch))
    singles = one_by_one(scan, queries[:8]), one_by_one(tables, queries)
    scanned = 1e3 * seconds(functools.partial(scan, batches[0]), 3)
    together = scanned, 1e3 * float(np.median([seconds(functools.partial(tables, batch), 1) for batch in batches]))
    found = tables(queries)[1].size / QUERIES
    columns = [f"{before:,.1f} / {after:,.1f}, {before / after:,.0f}" for before, after in (singles, together)]
    print(f"| {name} | {columns[0]} | {columns[1]} | {found:,.0f} |", flush=True)


def measure(items, kind, bits):
    queries, database, *_ = sample(kind, bits, QUERIES, items)
    if kind == "random":  # each near one code: nothing else is within a small radius
        queries = flipped(np.random.default_rng(1), database[:: items // QUERIES][:QUERIES], 0.03)
    began = time.perf_counter()
    index = MultiIndex(database, threads=1)
    print(f"\n{kind}: {index!r}, made in {time.perf_counter() - began:.1f} s\n")
    print("| search | one query: us, scan / tables, times | batch of 64: ms, scan / tables, times | found |")
    print("| --- | --- | --- | --- |")
    alone = {"threads": 1}
    row("k = 10", lambda q: vtsearch.rank(q, database, 10, **alone), lambda q: index.rank(q, 10, **alone), queries)
    for radius in (0, 2, 4, 6):
        scan = functools.partial(vtsearch.within, db_codes=database, radius=radius, **alone)
        row(f"radius {radius}", scan, functools.partial(index.within, radius=radius, **alone), queries)


# ---------------------------------------------------------------------------------------------------------------------
# How much slower at worst


def uniform(rng, items, width):
    return random_codes(rng, 8 * width, items)


def clustered(rng, items, width):
    centers = uniform(rng, max(items // int(10 ** rng.uniform(0.5, 5)), 1), width)
    return flipped(rng, centers[rng.integers(0, len(centers), items)], rng.choice([0.01, 0.03, 0.08, 0.15]))


def equal(rng, items, width):
    codes = uniform(rng, max(items // int(10 ** rng.uniform(0.5, 6)), 1), width)
    return codes[rng.integers(0, len(codes), items)]


def one_bucket(rng, items, width):
    codes, begin = uniform(rng, items, width), rng.integers(0, width // 2 + 1)
    codes[:, begin : begin + width // 3 + 1] = 7
    return codes


def few_bits(rng, items, width):
    return uniform(rng, items, width) & rng.choice([0x01, 0x03, 0x11, 0x0F]).astype(np.uint8)


PARTS = {each.__name__.replace("_", " "): each for each in (uniform, clustered, equal, one_bucket, few_bits)}


class Ratio(NamedTuple):
    """Of the times of a MultiIndex to those of a scan: of the shortest of several turns."""

    ratio: float
    scan_ms: float
    what: str


def ratio(what, scan, tables):
    """One above 1.1 counts as it is found a second time, in three times as many turns: most are noise."""
    same(scan(), tables())
    times = in_turns(9, scan, tables)
    if times[1] > 1.1 * times[0]:
        times = in_turns(27, scan, tables)
    return Ratio(times[1] / times[0], 1e3 * times[0], what)


def in_turns(least, *calls):
    """The shortest time of each call, of at least so many turns."""
    times = [[seconds(call, 1) for call in calls] for _ in range(least)]
    while np.sum(times) < 0.5 and len(times) < 60:
        times.append([seconds(call, 1) for call in calls])
    return np.min(times, axis=0)


def mixture(rng, items):
    """The ratios of a ranking and of a search within a radius, in a mixture that chance makes."""
    width = int(rng.choice([4, 8, 8, 8, 16, 32]))
    items = items * 8 // max(width, 8)
    names = rng.choice(list(PARTS), rng.integers(1, 4), replace=False).tolist()
    shares = rng.dirichlet(np.ones(len(names)))
    parts = [PARTS[name](rng, max(int(share * items), 1), width) for name, share in zip(names, shares, strict=True)]
    database = np.concatenate(parts)
    if rng.random() < 0.5:
        database = rng.permutation(database)
    index = MultiIndex(database, copies=bool(rng.random() < 0.7))
    q = int(rng.choice([1, 2, 8, 16, 64]))
    queries = flipped(rng, database[rng.integers(0, len(database), q)], rng.choice([0, 0.01, 0.03, 0.1, 0.3]))
    share = rng.choice([0.001, 0.01, 0.1, 0.5, 0.9]) if rng.random() < 0.3 else None
    options = {"mask": None if share is None else np.packbits(rng.random(len(database)) < share), "threads": 1}
    k, radius = int(rng.choice([1, 10, 10, 100, 1000])), int(rng.choice([0, 1, 2, 3, 4, 6, 8, 12, width]))
    what = f"{q} x {len(database):,}, {8 * width} bits, {', '.join(names)}" + f", mask {share}" * (share is not None)
    yield ratio(
        f"{what}, k = {k}",
        lambda: vtsearch.rank(queries, database, k, **options),
        lambda: index.rank(queries, k, **options),
    )
    yield ratio(
        f"{what}, radius {radius}",
        lambda: vtsearch.within(queries, database, radius, **options),
        lambda: index.within(queries, radius, **options),
    )


def worst_of(mixtures, items, seed):
    ratios = sorted(
        itertools.chain.from_iterable(mixture(np.random.default_rng([seed, i]), items) for i in range(mixtures)),
        reverse=True,
    )
    values = np.array([each.ratio for each in ratios])
    print(f"{len(ratios)} searches in {mixtures} mixtures: {(values > 1.1).sum()} above 1.1 of a scan, ", end="")
    print(f"median {np.median(values):.3f}, {(values < 0.5).sum()} below 0.5\n")
    print("| time, relative to a scan | of ms | search |")
    print("| --- | --- | --- |")
    for each in ratios[:10]:
        print(f"| {each.ratio:.3f} | {each.scan_ms:.2f} | {each.what} |")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--codes", default="clusters,random", help="kinds of codes, with commas")
    parser.add_argument("--mixtures", type=int, default=0, help="search so many mixtures instead")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.mixtures:
        worst_of(asked.mixtures, asked.items, asked.seed)
        return
    for kind in asked.codes.split(","):
        measure(asked.items, kind, asked.bits)


if __name__ == "__main__":
    main()
