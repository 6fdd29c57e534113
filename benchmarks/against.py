"""Another checkout of vtsearch against this one, every row of cases.py and its small copy, in turns.

    git worktree add --detach ../before REVISION && (cd ../before && pip install --target build/there .)
    python benchmarks/against.py ../before/build/there

Each side is a process of its own with one thread. They take turns of a few milliseconds, timed in CPU seconds; two
turns side by side give a ratio, and a row prints the median: a processor that changes its clock hits both turns of a
pair alike. Ratios are other/this: below 1, this is slower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Self

from cases import SECTIONS, Case

TURN = 0.02  # seconds, at least one call
PAIRS = 6  # at least
HERE = Path(__file__).parent


def rows() -> list[Case]:
    """All rows, and then all of them as small as --quick makes them."""
    cases = [case for section in SECTIONS.values() for case in section]
    return cases + list({case.name: case for case in map(Case.shrunk, cases)}.values())


class Side:
    """A process that imports vtsearch from a folder and calls what it is told to."""

    def __init__(self, folder: Path) -> None:
        paths = os.pathsep.join([str(folder.resolve()), str(HERE)])
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def turn(self, row: int, calls: int) -> float:
        """CPU seconds of one call."""
        print(row, calls, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())


def serve() -> None:
    """Answer lines of "row calls" with CPU seconds per call."""
    from compare import forced  # noqa: PLC0415  this process has another vtsearch than its parent
    from contenders import CONTENDERS  # noqa: PLC0415
    from synthetic_codes import sample  # noqa: PLC0415

    cases, current, call = rows(), None, None
    for line in sys.stdin:
        row, calls = map(int, line.split())
        case = cases[row]
        if row != current:
            contender = CONTENDERS[case.operation]["vtsearch"]
            codes = contender.sample(sample(case.codes, case.bits, case.queries, case.items))
            current, call = row, contender.prepare(codes, case.k, threads=1)
        with forced(case.isa):
            start = time.process_time()
            for _ in range(calls):
                call()
            print((time.process_time() - start) / calls, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?", help="folder that has the other vtsearch/ in it")
    parser.add_argument("--this", type=Path, default=HERE.parent / "src", help="folder of the one to judge")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows with this text in their name")
    parser.add_argument("--seconds", type=float, default=5.0, help="per row")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve()
    if given.other is None or not (given.other / "vtsearch").is_dir():
        parser.error(f"other: expected a folder with vtsearch/ in it, got {given.other}")
    from vtsearch import _native  # noqa: PLC0415

    print("| row | other / this |\n| --- | --- |")
    with Side(given.other) as other, Side(given.this) as this:
        for row, case in enumerate(rows()):
            if given.only in f"{case.operation} {case.name}" and case.isa in {None, *_native.isas()}:
                print(f"| {case.operation} {case.name} | {ratio(other, this, row, given.seconds):.3f} |", flush=True)
    return None


def ratio(other: Side, this: Side, row: int, seconds: float) -> float:
    """How many times faster this side is."""
    calls = max(1, int(TURN / max(other.turn(row, 2), this.turn(row, 2))))
    ratios = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(ratios) < PAIRS:
        first, second = (other, this) if len(ratios) % 2 else (this, other)
        times = {first: first.turn(row, calls), second: second.turn(row, calls)}
        ratios.append(times[other] / times[this])
    return median(ratios)


if __name__ == "__main__":
    main()
