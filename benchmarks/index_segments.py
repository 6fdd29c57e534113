"""An index of several large segments: evaluate, deduplicate and within, in bounded memory.

    python benchmarks/index_segments.py --segments 5 --megabytes 300 --bytes 512 --limit 400

The index is written to a temporary folder; a child process answers from it and reports its largest resident size.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from memory import MEBIBYTE, peak

from vtsearch import Index

QUERIES = 10
CLASSES = 10


def build(folder: Path, segments: int, megabytes: int, width: int) -> None:
    """An index of random codes, of which the first 100 of each segment are equal to those of the first."""
    random = np.random.default_rng(0)
    items = megabytes * 10**6 // width
    shared = random.integers(0, 256, (100, width), dtype=np.uint8)
    with Index.create(folder, 8 * width) as index:
        for _ in range(segments):
            codes = random.integers(0, 256, (items, width), dtype=np.uint8)
            codes[:100] = shared
            index.add(codes, labels=random.integers(0, CLASSES, items))


def answer(folder: str) -> None:
    """Print time and result of each call, and the largest resident size of this process."""
    queries = np.random.default_rng(1).integers(0, 256, (QUERIES, Index.open(folder).bits // 8), dtype=np.uint8)
    with Index.open(folder) as index:
        print(f"{len(index):,} items in {len(index.segments)} segments, {index.bits} bits")
        radius = index.bits // 2 - 2 * int(index.bits**0.5)  # four standard deviations of random codes below their mean
        for name, call in (
            ("within", lambda: len(index.within(queries, radius, threads=1).indices)),
            ("evaluate", lambda: index.evaluate(queries, np.arange(QUERIES) % CLASSES, 1_000, threads=1).queries),
            ("deduplicate", lambda: len(index.deduplicate(0, threads=1).redundant())),
        ):
            began = time.perf_counter()
            found = call()
            print(
                f"{name:<12} {time.perf_counter() - began:6.1f} s  {found:,} found  {peak() / MEBIBYTE:.0f} MiB at most"
            )


def main() -> int:
    """Build, answer in a child process, and compare its memory with the limit; 1 if it was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--segments", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=300, help="of codes per segment")
    parser.add_argument("--bytes", type=int, default=512, help="per code")
    parser.add_argument("--limit", type=float, default=400, help="MiB that the child may have in memory")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.answer:
        answer(args.answer)
        return int(peak() / MEBIBYTE > args.limit)
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "index", args.segments, args.megabytes, args.bytes)
        command = [sys.executable, __file__, "--answer", f"{folder}/index", "--limit", str(args.limit)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
