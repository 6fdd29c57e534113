"""Searches with weights beside those in bits and beside numpy, and what weights give in mAP.

    python benchmarks/weighted.py --items 1000000
    python benchmarks/weighted.py --features FOLDER

The first prints billions of (query, code) pairs a second, on one thread, in CPU seconds of the best of several calls;
numpy multiplies float32 features with codes of -1 and 1 and takes the largest products by argpartition. The second
reads query_features.npy, query_labels.npy, database_features.npy and database_labels.npy from a folder, and prints mAP
of binary, weighted and real-valued queries, with fewer and fewer levels, and of rescored candidates.
"""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path

import numpy as np
from compare import forced
from synthetic_codes import random_codes

import vtsearch
from vtsearch import _native, reference

SEARCHES = ((64, 64, 10), (64, 64, 100), (64, 64, 1000), (1, 64, 10), (64, 128, 10), (64, 256, 10))
"""Queries, bits, k."""
LEVELS = (63, 31, 15, 7, 3)
CANDIDATES, TOP = 1_000, 100


def seconds(call, least=1.0):
    """CPU seconds of the best call, of as many as take about ``least`` seconds, at least three."""
    times = []
    while len(times) < 3 or sum(times) < least:
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


# ---------------------------------------------------------------------------------------------------------------------
# Speed


def check(features, codes, k, found):
    """The first results of the first query are those of the reference."""
    some = codes[:2_000]
    side = vtsearch.pack(features[:1]), some
    weights = vtsearch.query_weights(features[:1])
    actual, expected = vtsearch.rank(*side, k, weights=weights), reference.rank(*side, k, weights=weights)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (found.distances[:, 1:] >= found.distances[:, :-1]).all()


def by_product(features, signs, k):
    """The items with the largest inner products, nearest first."""
    products = features @ signs.T
    nearest = np.argpartition(products, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(products, nearest, axis=1), axis=1)
    return np.take_along_axis(nearest, order, axis=1)


def measure_speed(items, least):
    rng = np.random.default_rng(0)
    isas = _native.isas()
    print(f"{items:,} codes; billions of pairs a second, weighted / in bits\n")
    print(f"| queries | bits | k | {' | '.join(isas)} | numpy |")
    print("| --- | --- | --- |" + " --- |" * (len(isas) + 1))
    for q, bits, k in SEARCHES:
        codes, features = random_codes(rng, bits, items), rng.normal(size=(q, bits)).astype(np.float32)
        queries, weights = vtsearch.pack(features), vtsearch.query_weights(features)
        search = functools.partial(vtsearch.rank, queries, codes, k, threads=1)
        columns = []
        for isa in isas:
            with forced(isa):
                check(features, codes, k, search(weights=weights))
                times = seconds(functools.partial(search, weights=weights), least), seconds(search, least)
            columns.append(" / ".join(f"{q * items / each / 1e9:.2f}" for each in times))
        signs = np.where(np.unpackbits(codes, axis=1) == 1, np.float32(1), np.float32(-1))
        product = seconds(functools.partial(by_product, features, signs, k), least)
        columns.append(f"{q * items / product / 1e9:.2f}")
        print(f"| {q} | {bits} | {k} | {' | '.join(columns)} |", flush=True)


# ---------------------------------------------------------------------------------------------------------------------
# mAP


def real_valued(features, signs, relevant, k):
    """mAP at k by the inner products of float64 features with signs; equal products by index."""
    scores = []
    for query, row in zip(features, relevant, strict=True):
        met = np.flatnonzero(row[np.argsort(-(signs @ query), kind="stable")][:k]) + 1
        scores.append((np.arange(1, len(met) + 1) / met).mean() if len(met) else 0.0)
    return float(np.mean(scores))


def measure_precision(folder):
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    features, items = arrays["query_features"].astype(np.float64), arrays["database_features"]
    labels = arrays["query_labels"], arrays["database_labels"]
    queries, codes = vtsearch.pack(features), vtsearch.pack(items)
    signs, relevant = np.where(items > 0, 1.0, -1.0), labels[0][:, None] == labels[1][None, :]
    print(f"{len(queries):,} queries, {len(codes):,} codes of {features.shape[1]} bits\n")
    print(f"| queries | mAP | mAP@{TOP} |")
    print("| --- | --- | --- |")

    def row(name, *values):
        print(f"| {name} | {' | '.join(f'{value:.6f}' for value in values)} |", flush=True)

    data = queries, codes, *labels
    row("real-valued", *(real_valued(features, signs, relevant, k) for k in (None, TOP)))
    for levels in LEVELS:
        weights = vtsearch.query_weights(features, levels=levels)
        scores = [vtsearch.mean_average_precision(*data, k, weights=weights) for k in (None, TOP)]
        row(f"weighted, {levels} levels", *scores)
    row("binary", *(vtsearch.mean_average_precision(*data, k) for k in (None, TOP)))
    weights = vtsearch.query_weights(features)
    found = vtsearch.rank(queries, codes, CANDIDATES, threads=1)
    best = vtsearch.rescore(found, queries, codes, weights, TOP)
    hits = np.take_along_axis(relevant, best.indices, axis=1)
    precisions = hits * np.cumsum(hits, axis=1) / np.arange(1, TOP + 1)
    rescored = (precisions.sum(axis=1) / np.maximum(hits.sum(axis=1), 1)).mean()
    print(f"| {CANDIDATES:,} candidates in bits, rescored | | {rescored:.6f} |\n")
    pairs = len(queries) * len(codes)
    for name, call in (
        ("mAP with weights", lambda: vtsearch.mean_average_precision(*data, weights=weights, threads=1)),
        ("mAP in bits", lambda: vtsearch.mean_average_precision(*data, threads=1)),
        ("real-valued mAP by numpy", lambda: real_valued(features, signs, relevant, None)),
    ):
        took = seconds(call)
        print(f"{name}: {took:.3f} s, {pairs / took / 1e9:.2f} billion pairs a second")
    took = seconds(lambda: vtsearch.rescore(found, queries, codes, weights, TOP))
    print(f"rescore: {took:.3f} s, {1e9 * took / found.indices.size:.0f} ns a candidate")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each search is timed")
    parser.add_argument("--features", type=Path, help="measure mAP with the features of this folder instead")
    asked = parser.parse_args()
    if asked.features is None:
        measure_speed(asked.items, asked.seconds)
    else:
        measure_precision(asked.features)


if __name__ == "__main__":
    main()
