"""Simulations of several seeds: ``PYTHONPATH=tests python -m simulation FIRST COUNT STEPS``."""
# ruff: noqa: T201

from __future__ import annotations

import sys
import time

from simulation.audit import Violation
from simulation.simulator import STEPS, Counts, simulate


def main() -> None:
    """Run them, and print figures and violations."""
    first, count, steps = [int(word) for word in sys.argv[1:]] + [0, 1, STEPS][len(sys.argv) - 1 :]
    counts, violations, began = Counts(), 0, time.monotonic()
    for seed in range(first, first + count):
        try:
            counts.add(simulate(seed, steps))
        except Violation as error:
            violations += 1
            print(error, flush=True)
    print(f"{count} seeds, {counts.steps} steps, {counts.crashes} crashes, {violations} violations, ", end="")
    print(f"{time.monotonic() - began:.0f} s")
    for name, some in (("actions", counts.actions), ("operations", counts.operations), ("faults", counts.faults)):
        print(f"{name}: " + ", ".join(f"{key} {number}" for key, number in sorted(some.items(), key=str)))


if __name__ == "__main__":
    main()
