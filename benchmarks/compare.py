"""Measure every row of the table in cases.py, all contenders side by side, and write what came out.

    python benchmarks/compare.py                # docs/benchmarks.md, its plot, the README's table: 15 minutes
    python benchmarks/compare.py --quick        # the same on tiny codes, below build/quick: seconds
    python benchmarks/compare.py --render       # write the pages anew from the last run, build/benchmarks.json

In every round each contender has its turn, so that what else the machine does hits all; the best turn counts. One
thread is timed in CPU seconds of the process: a long call that others interrupt must not lose to a short one that they
miss. Several threads are timed by the wall clock.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import math
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import report
from cases import SECTIONS, Case
from contenders import CONTENDERS, faiss_level
from memory import peak_mebibytes
from results import Results, Row
from synthetic_codes import Sample, sample

from vtsearch import _native

ROOT = Path(__file__).parents[1]
PACKAGES = ("vtsearch", "numpy", "faiss-cpu", "usearch", "sqlite-vec")
ROUNDS = 3  # at least
LEAST_TIMED = 2e-4  # seconds
TURNS = 200  # shares of a row's seconds: a fast contender calls again until its turn is over


def words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny codes: does everything run?")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the last run's pages anew")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="of rounds per row and number of threads, if three rounds take less"
    )
    parser.add_argument("--output", type=Path, help="where README.md, docs/ and build/ are written")
    return parser.parse_args()


def main() -> None:
    given = words()
    output = given.output or (ROOT / "build" / "quick" if given.quick else ROOT)
    kept = output / "build" / "benchmarks.json"
    if not given.render:
        Results(machine(), measure_all(given.quick, given.seconds)).save(kept)
    print(f"{report.write(Results.load(kept), output)} written below {output}")


def measure_all(quick: bool, seconds: float) -> list[Row]:
    rows = []
    for section, cases in SECTIONS.items():
        print(section)
        for case in cases:
            if case.isa in {None, *_native.isas()}:
                rows.append(measure(section, case.shrunk(), 0) if quick else measure(section, case, seconds))
                print("  " + report.line(rows[-1]), flush=True)
    return rows


def measure(section: str, case: Case, seconds: float) -> Row:
    """One row: every contender's answers checked, then its speed."""
    every = _native.default_threads()
    arrays = sample(case.codes, case.bits, case.queries, case.items)
    with forced(case.isa):
        one = race(case, arrays, 1, seconds)
        all_ = race(case, arrays, every, seconds) if every > 1 else {}
    memory = peak_mebibytes(arrays, case.k) if "MiB" in case.required else None
    return Row(section, case, one, all_, memory)


def race(case: Case, arrays: Sample, threads: int, seconds: float) -> dict[str, float]:
    """Gpairs/s by contender: the best of the rounds in which they take turns."""
    calls, pairs = {}, {}
    for name in case.contenders:
        contender = CONTENDERS[case.operation][name]
        if contender.installed and (threads == 1 or contender.threaded):
            own = contender.sample(arrays)
            calls[name] = call = contender.prepare(own, case.k, threads)
            pairs[name] = len(own.queries) * len(own.database)
            contender.check(call(), own, case.k)
    clock = time.process_time if threads == 1 else time.perf_counter
    best, start, rounds = dict.fromkeys(calls, math.inf), clock(), 0
    while rounds < ROUNDS or clock() - start < seconds:
        for name, call in calls.items():
            best[name] = min(best[name], turn(call, clock, seconds / TURNS))
        rounds += 1
    return {name: pairs[name] / elapsed / 1e9 for name, elapsed in best.items()}


def turn(call, clock, seconds: float) -> float:
    """Seconds of the fastest calls until these are over; calls too short for the clock are timed several at once."""
    over, best, calls = clock() + seconds, math.inf, 1
    while best == math.inf or clock() < over:
        start = clock()
        for _ in range(calls):
            call()
        elapsed = clock() - start
        if elapsed < LEAST_TIMED:
            calls *= 2
        else:
            best = min(best, elapsed / calls)
    return best


@contextlib.contextmanager
def forced(isa: str | None):
    """The engine, and FAISS if it is installed, with the instructions of one set."""
    before = _native.active_isa()
    _native.use_isa(isa or before)
    try:
        with faiss_level(isa):
            yield
    finally:
        _native.use_isa(before)


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "processor": processor(),
        "threads": str(_native.default_threads()),
        "instruction set": _native.active_isa(),
        "python": platform.python_version(),
        **{package: installed(package) for package in PACKAGES},
    }


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
