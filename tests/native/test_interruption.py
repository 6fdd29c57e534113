"""Long calls release the interpreter and answer Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from strategies import seeded_codes

from vtsearch import ranking

LONG_CALL = """
import numpy as np
from vtsearch import MultiIndex, _native, duplicates, metrics, ranking
from vtsearch.duplicates import Duplicates
rng = np.random.default_rng(0)
codes = rng.integers(0, 256, (400_000, 64), dtype=np.uint8)
queries = codes[:50_000]
labels = np.arange(len(codes)) % 10
pair = queries, codes
labelled = *pair, labels[:50_000], labels
limits, many = np.ones(len(queries), np.int32), np.tile(codes, (4, 1))
print("started", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("finished", flush=True)
"""

CALLS = {
    "rank": "ranking.rank(*pair, 10, threads={threads})",
    "rank with weights": "ranking.rank(*pair, 10, weights=np.ones((50_000, 512), dtype=np.uint8), threads={threads})",
    "histogram": "ranking.histogram(*pair, threads={threads})",
    "within": "ranking.within(*pair, 3, threads={threads})",
    "deduplicate": "duplicates.deduplicate(codes, 120, threads={threads})",
    "deduplicate by substrings": "duplicates.deduplicate(codes, 40, threads={threads})",
    "deduplicate against": "_native.nearest_below(*pair, limits + 120, True, {threads})",
    "deduplicate against, by substrings": "_native.nearest_below(queries, many, limits + 40, False, {threads})",
    "forest of a partition": "_native.agreeing_forest(codes, np.zeros((1, 64), np.uint8), 120, {threads})",
    "diameters": "Duplicates(np.zeros(len(codes), int)).diameters(codes, threads={threads})",
    "bounded groups": "duplicates.deduplicate(codes, 512, max_diameter=256, threads={threads})",
    "tables": "MultiIndex(codes, tables=400, copies=False, threads={threads})",
    "search by tables": "MultiIndex(codes, tables=8).within(queries, 250, plan='tables', threads={threads})",
    "count": "ranking.count(*pair, 3, threads={threads})",
    "average precision": "metrics.average_precision(*labelled, threads={threads})",
    "average precision by index": "metrics.average_precision(*labelled, ties='index', threads={threads})",
}


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("call", [pytest.param(name, marks=[pytest.mark.slow] * (name != "rank")) for name in CALLS])
def test_ctrl_c_ends_a_long_call_with_keyboard_interrupt(call, threads):
    program = LONG_CALL.format(call=CALLS[call].format(threads=threads))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=10)
        finally:
            process.kill()
    assert output == "interrupted\n"
    assert process.returncode == 0


def test_other_threads_run_during_a_call():
    codes = seeded_codes(0, 3000, 1024)
    done = threading.Event()
    worker = threading.Thread(target=lambda: (ranking.rank(codes, codes, 10, threads=1), done.set()))
    worker.start()
    turns = 0
    while not done.is_set():
        turns += 1
    worker.join()
    assert turns > 100
