"""Search a file of random codes that is larger than the memory it takes: time, GB/s and the most memory ever used.

    python benchmarks/out_of_core.py --gigabytes 12 --queries 1 100

Writes the file, searches it from the disk and again from the system's cache, holds the answers of one query to the
reference, and deletes the file.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from vtsearch import _native, ranking, reference

BLOCK = 2**20


def write_codes(path: Path, items: int, width: int) -> None:
    rng = np.random.default_rng(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (items, width)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, items, BLOCK):
            file.write(rng.bytes(min(BLOCK, items - start) * width))
        file.flush()
        os.fsync(file.fileno())


def forget(path: Path) -> None:
    """Have the system drop the file from its cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def most_memory() -> float:
    """MiB: VmHWM, in which pages of mapped files count."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def check(found: ranking.Ranking, query: np.ndarray, codes: np.ndarray) -> None:
    """The answers to the first query are those of the reference, which meets a block at a time."""
    distances, indices = [], []
    for start in range(0, len(codes), BLOCK):
        (row,) = reference.distances(query, codes[start : start + BLOCK])
        near = np.flatnonzero(row <= found.distances[0, -1])
        distances.append(row[near])
        indices.append(start + near)
    distance, index = np.concatenate(distances), np.concatenate(indices)
    order = np.lexsort((index, distance))[: found.indices.shape[1]]
    np.testing.assert_array_equal(found.distances[0], distance[order])
    np.testing.assert_array_equal(found.indices[0], index[order])


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--gigabytes", type=float, default=12, help="size of the file, in 10^9 bytes")
    words.add_argument("--bits", type=int, default=64)
    words.add_argument("--queries", type=int, nargs="+", default=[1, 100])
    words.add_argument("--k", type=int, default=100)
    words.add_argument("--threads", type=int, default=_native.default_threads())
    words.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the file is written")
    given = words.parse_args()
    width = given.bits // 8
    items = int(given.gigabytes * 1e9) // width
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "codes.npy"
        write_codes(path, items, width)
        print(f"{items:,} codes of {given.bits} bits, {_native.active_isa()}, {given.threads} threads, k = {given.k}")
        print(f"{most_memory():.0f} MiB at most before the first search")
        for queries in given.queries:
            asked = np.random.default_rng(queries).integers(0, 256, (queries, width), dtype=np.uint8)
            forget(path)
            for source in ("disk", "cache"):
                codes = np.load(path, mmap_mode="r")
                began = time.perf_counter()
                found = ranking.rank(asked, codes, given.k, threads=given.threads)
                seconds = time.perf_counter() - began
                speed = f"{codes.nbytes / seconds / 1e9:.2f} GB/s, {queries * items / seconds / 1e9:.1f} G pairs/s"
                memory = most_memory()
                print(f"{queries} queries from {source}: {seconds:.1f} s, {speed}, {memory:.0f} MiB at most so far")
        check(found, asked[:1], codes)
        print("the answers of one query are those of the reference")


if __name__ == "__main__":
    main()
