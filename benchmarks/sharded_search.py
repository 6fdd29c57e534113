"""A sharded index of fifty million codes beside one index in this process: latency, throughput, and the overhead.

    python benchmarks/sharded_search.py --items 50000000 --folder large [--ray ADDRESS] [--json shards.json]

Codes of 64 bits in clusters, without metadata and with default ids; every search is a scan. Each shard is one actor of
one thread on a Ray cluster, by default one that is started on this machine, or one thread of this process; the index in
this process has as many threads as there are shards, but no more than CPUs. A process that scans more than 256 MiB of
codes releases their pages as it goes on, and maps them again in the next search; one that scans less does not.
Contenders take turns; the middle turn counts. Answers are compared with those of the index in this process, those of a
small part of the codes with ``vtsearch.reference``.

Where the time of a sharded search goes is measured by itself: an empty call to all actors, the same with the queries
and an answer of the same size, the merge, the ids, and the scan of the slowest shard where it is.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from large_index import BITS, CHUNK, codes_of, timed
from synthetic_codes import flipped

import vtsearch
from vtsearch import Index, _merging, reference
from vtsearch._validate import available_cpus
from vtsearch.scale import ShardedIndex

K = 10
QUERIES = (1, 64, 1024)
SHARDS = (1, 2, 4)
ROUNDS = {1: 31, 64: 7, 1024: 3}
COMPARED = 200_000


@dataclass(frozen=True)
class Echo:
    """A question that no code is compared for: it sends what a search sends, and answers with as many results."""

    queries: np.ndarray
    answers: tuple

    @property
    def nbytes(self):
        return self.queries.nbytes

    def answer(self, items, own, threads):  # noqa: ARG002 (as all)
        rows, k = self.answers
        return np.zeros((rows, k), dtype=np.int32), np.zeros((rows, k), dtype=np.int64)


def make(folder, items):
    """An index of clustered codes."""
    with Index.create(folder, BITS) as index:
        for start in range(0, items, CHUNK):
            index.add(codes_of(start, min(CHUNK, items - start)))


def queries_of(index, count):
    rng = np.random.default_rng(5)
    return flipped(rng, index.database().rows(np.sort(rng.choice(len(index), count, replace=False))), 0.03)


def told(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)


def milliseconds(seconds):
    return f"{seconds * 1e3:,.2f}"


def check(index):
    """The first codes are searched as the reference searches them."""
    view, queries = index.between(0, min(len(index), COMPARED)), queries_of(index, 2)
    found, expected = view.search(queries, K), reference.rank(queries, np.array(view.codes()), K)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


def compare(index, sharded, local, queries):
    """Seconds of the index in this process and of each sharded one, in turns; answers must be equal."""
    count = len(queries)
    calls = {1: partial(index.search, queries, K, threads=1)}
    calls |= {threads: partial(index.search, queries, K, threads=threads) for threads in threads_beside(sharded)}
    calls |= {f"{shards} shards on Ray": partial(each.search, queries, K) for shards, each in sharded.items()}
    calls |= {f"{shards} shards in threads": partial(each.search, queries, K) for shards, each in local.items()}
    expected = calls[1]()
    times = {name: [] for name in calls}
    for _ in range(ROUNDS[count]):
        for name, call in calls.items():
            found, seconds = timed(call)
            times[name].append(seconds)
            np.testing.assert_array_equal(found.indices, expected.indices)
            np.testing.assert_array_equal(found.distances, expected.distances)
            assert found.ids == expected.ids
    return {name: float(np.median(each)) for name, each in times.items()}


def threads_beside(sharded):
    """Threads of the index in this process, as many as some sharded one has."""
    return sorted({min(shards, available_cpus()) for shards in sharded})


def overhead(index, sharded, queries):
    """Seconds of the parts of a sharded search."""
    state, count = sharded.current, len(queries)
    rounds = ROUNDS[count]
    ask = partial(state.shards.ask, state.shard_items)
    empty = Echo(queries[:0], (0, K))
    same_size = Echo(queries, (count, K))
    scans = [partial(view.search, queries, K, threads=1) for view in shard_views(index, state)]
    parts = [vtsearch.rank(queries, view.database(), K, threads=1) for view in shard_views(index, state)]
    ids = parts[0].indices
    return {
        "empty call": timed(partial(ask, empty), rounds=rounds)[1],
        "call with queries and answers": timed(partial(ask, same_size), rounds=rounds)[1],
        "merge": timed(partial(_merging.nearest, parts, K), rounds=rounds)[1],
        "ids": timed(lambda: state.ids_at(np.unique(ids).tolist()), rounds=rounds)[1],
        "scan of the slowest shard, alone": max(timed(scan, rounds=3)[1] for scan in scans),
    }


def shard_views(index, state):
    """The items of each shard, of the index in this process."""
    return [index.between(start, stop) for start, stop in zip(state.cuts, state.cuts[1:], strict=False)]


def report(index, sharded, local, counts):
    """Print the tables, and return the rows that ``scale_model.py --check`` predicts."""
    cpus, rows = available_cpus(), []
    print(f"\n{len(index):,} codes of {BITS} bits, k = {K}, {cpus} CPUs, one thread for each actor\n")
    told("queries", "what", "threads", "ms", "queries/s", "against the index with as many threads")
    told("---:", "---", "---:", "---:", "---:", "---:")
    for count in counts:
        times = compare(index, sharded, local, queries_of(index, count))
        for name, seconds in times.items():
            threads = name if isinstance(name, int) else min(int(name.split()[0]), cpus)
            what = "index in this process" if isinstance(name, int) else name
            ratio = "" if isinstance(name, int) else f"{seconds / times[threads]:.2f}"
            told(str(count), what, str(threads), milliseconds(seconds), f"{count / seconds:,.0f}", ratio)
            shards, each = (0, threads) if isinstance(name, int) else (int(name.split()[0]), 1)
            call = {"shards": shards, "threads": each, "queries": count, "items": len(index), "k": K}
            if "threads" not in str(name):
                rows.append({**call, "seconds": seconds})
    print("\nWhere the time goes, in ms\n")
    told("queries", "shards", *(parts := overhead(index, sharded[max(sharded)], queries_of(index, 1))))
    told(*["---:"] * (2 + len(parts)))
    for count in counts:
        for shards, each in sharded.items():
            told(str(count), str(shards), *map(milliseconds, overhead(index, each, queries_of(index, count)).values()))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=50_000_000)
    parser.add_argument("--folder", type=Path, help="where the index is, or is kept")
    parser.add_argument("--ray", default="local", help="address of a cluster; by default one is started here")
    parser.add_argument("--quick", action="store_true", help="a hundred thousand codes, 1 and 2 shards")
    parser.add_argument("--json", type=Path, help="file of the measured times, for scale_model.py --check")
    args = parser.parse_args()
    items, counts = (100_000, SHARDS[:2]) if args.quick else (args.items, SHARDS)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = args.folder or Path(temporary) / "index"
        if not folder.exists():
            make(folder, items)
        index = stack.enter_context(Index.open(folder))
        check(index)
        start_ray(args.ray, sum(counts), stack)
        sharded = {
            shards: stack.enter_context(ShardedIndex.open(folder, shards, ray="auto", cpus=1)) for shards in counts
        }
        local = {shards: stack.enter_context(ShardedIndex.open(folder, shards, threads=1)) for shards in counts[1:]}
        rows = report(index, sharded, local, QUERIES[:2] if args.quick else QUERIES)
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def start_ray(address, cpus, stack):
    """Connect to a cluster, or start one whose nominal CPUs hold all actors at once; they do not work at once."""
    import ray  # noqa: PLC0415 (--help works without)

    os.environ.setdefault("RAY_worker_niceness", "0")  # else others come first on a machine that is not idle
    options = {"num_cpus": cpus, "object_store_memory": 2**28} if address == "local" else {}
    ray.init(address, include_dashboard=False, log_to_driver=False, logging_level="error", **options)
    stack.callback(ray.shutdown)


if __name__ == "__main__":
    main()
