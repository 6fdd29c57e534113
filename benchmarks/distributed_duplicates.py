"""What it costs to find near-duplicates by tasks: beside one process, in time, files and memory.

Usage: python benchmarks/distributed_duplicates.py [--items 10000000] [--radii 3 4] [--memory 1024]

Codes are random; a tenth of them are copies of others with up to as many flipped bits as the radius. Each way runs in a
process of its own on one thread, and all give the same groups.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import vtsearch
from vtsearch.scale.duplicates import ArrayPart, deduplicate


def planted(items, radius, seed=0):
    """(items, 8) codes, a tenth of which are near others."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, items, dtype=np.uint64)
    near = items // 10
    copies = codes[near:][rng.integers(0, items - near, near)]
    for _ in range(radius):
        flipped = np.uint64(1) << rng.integers(0, 64, near, dtype=np.uint64)
        copies ^= np.where(rng.random(near) < 0.8, flipped, np.uint64(0))
    codes[:near] = copies
    rng.shuffle(codes)
    return codes[:, None].view(np.uint8)


class Measured:
    """Runs tasks one after the other, and adds up their processor time and the bytes of their files, by phase."""

    def __init__(self):
        self.seconds, self.files, self.tasks = {}, {}, {}

    def map(self, function, tasks):
        for task in tasks:
            phase, began = task.name.split("-")[0], time.process_time()
            function(task)
            self.seconds[phase] = self.seconds.get(phase, 0) + time.process_time() - began
            written = sum(path.stat().st_size for path in task.place.iterdir())
            self.files[phase] = self.files.get(phase, 0) + written
            self.tasks[phase] = self.tasks.get(phase, 0) + 1
            yield None


def in_this_process(way, folder, radius, memory):
    """Seconds, peak memory and the groups' file of one way."""
    codes = np.load(folder / "codes.npy", mmap_mode="r")
    before, measured = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, Measured()
    began, busy = time.perf_counter(), time.process_time()
    if way == "whole":
        groups = vtsearch.deduplicate(np.array(codes), radius, threads=1).representatives
    else:
        parts = [ArrayPart(codes)]
        groups = deduplicate(parts, radius, tasks=measured.map, memory=memory, threads=1)
    found = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - busy}
    found["peak_mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    np.save(folder / f"{way}.npy", groups)
    if way == "tasks":
        found |= {"by_phase": measured.seconds, "files": measured.files, "tasks": measured.tasks}
    return found


def measure(folder, radius, memory):
    """Both ways, each in a process of its own."""
    found = {}
    for way in ("whole", "tasks"):
        command = [sys.executable, __file__, "--way", way, str(folder), str(radius), str(memory)]
        found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert np.array_equal(np.load(folder / "whole.npy"), np.load(folder / "tasks.npy"))
    return found


def show(items, radius, found):
    """A few lines about one radius."""
    whole, tasks = found["whole"], found["tasks"]
    print(f"{items:,} codes of 64 bits, radius {radius}, one thread")
    for name, way in (("one call", whole), ("tasks", tasks)):
        times = f"{way['seconds']:8.1f} s, {way['cpu']:8.1f} s of processor"
        print(f"  {name:8}  {times}, {way['peak_mib']:8,.0f} MiB")
    ratios = [tasks[time] / whole[time] for time in ("seconds", "cpu")]
    print(f"  tasks take {ratios[0]:.2f} of the time of one call, {ratios[1]:.2f} of its processor time")
    for phase, seconds in tasks["by_phase"].items():
        files = f"{tasks['files'][phase] / items:6.1f} bytes written a code"
        print(f"    {phase:9} {seconds:7.1f} s of processor in {tasks['tasks'][phase]:4} tasks, {files}")
    print(f"    written in all {sum(tasks['files'].values()) / items:.1f} bytes a code")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--items", type=int, default=10_000_000)
    arguments.add_argument("--radii", type=int, nargs="+", default=[3, 4])
    arguments.add_argument("--memory", type=int, default=256, help="MiB of a task")
    arguments.add_argument("--way", nargs=4, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.way:
        way, folder, radius, memory = args.way
        print(json.dumps(in_this_process(way, Path(folder), int(radius), int(memory))))
        return
    for radius in args.radii:
        with tempfile.TemporaryDirectory(prefix="duplicates-") as folder, contextlib.suppress(KeyboardInterrupt):
            np.save(Path(folder) / "codes.npy", planted(args.items, radius))
            show(args.items, radius, measure(Path(folder), radius, args.memory * 2**20))


if __name__ == "__main__":
    main()
