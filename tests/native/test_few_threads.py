"""Where the system starts no more threads, work is done by those that there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource")

PROGRAM = """
import os, resource, sys, threading
import numpy as np
from vtsearch import duplicates, metrics, ranking

rng = np.random.default_rng(0)
codes = rng.integers(0, 256, (4_000, 4), dtype=np.uint8)
labels = rng.integers(0, 5, len(codes))
sides = codes, codes, labels, labels
CALLS = [
    lambda threads: ranking.rank(codes, codes, 5, threads=threads),
    lambda threads: ranking.rank(codes[:2], np.resize(codes, (3_000_000, 4)), 5, threads=threads),
    lambda threads: ranking.within(codes, codes, 4, threads=threads),
    lambda threads: [ranking.count(codes, codes, 4, threads=threads)],
    lambda threads: [ranking.histogram(codes, codes, threads=threads)],
    lambda threads: [ranking.distances(codes, codes, threads=threads)],
    lambda threads: [metrics.average_precision(*sides, 100, threads=threads)],
    lambda threads: [metrics.average_precision(*sides, 100, ties="index", threads=threads)],
    lambda threads: [duplicates.deduplicate(codes, 3, threads=threads).representatives],
]
expected = [call(1) for call in CALLS]

if os.getuid() == 0:
    os.setuid(int(sys.argv[1]))  # no limit holds for root
resource.setrlimit(resource.RLIMIT_NPROC, (int(sys.argv[2]),) * 2)


def startable(most):
    release, started = threading.Event(), []
    try:
        for _ in range(most):
            thread = threading.Thread(target=release.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        pass
    release.set()
    for thread in started:
        thread.join()
    return len(started)


print(startable(8))
for call, answers in zip(CALLS, expected, strict=True):
    for actual, answer in zip(call(8), answers, strict=True):
        assert np.array_equal(actual, answer)
print("equal")
"""


@pytest.mark.parametrize("limit", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_calls_use_the_threads_that_the_system_starts(limit):
    user = 60_000 + limit  # a user that has no other process
    command = [sys.executable, "-c", PROGRAM, str(user), str(limit)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    started, done = result.stdout.split()
    assert done == "equal"
    if int(started) >= 8:
        pytest.skip("this system does not hold processes to their limit of threads")
