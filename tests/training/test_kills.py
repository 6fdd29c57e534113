"""Kills at random moments and at random file operations: every folder is taken by a fresh start or by a resume."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest
import torch
from test_resume import assert_alike

from vtsearch.training import run_folder as files
from vtsearch.training.loop import train

KILLS = int(os.environ.get("VTSEARCH_KILLS", "40"))
OPERATIONS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.truncate"})


@pytest.fixture(scope="module")
def processes():
    """Processes that have imported everything when they start, so that a kill seldom hits an import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vtsearch.training.loop", "sklearn.datasets", "matplotlib.pyplot"])
    return context


def work(config, folder, resume, last_operation):
    """Train; the process kills itself at a file operation of that number in the folder, if it comes to it."""
    torch.set_num_threads(1)
    left = [last_operation]

    def count(event, arguments):
        if event in OPERATIONS and left[0] is not None and str(folder) in str(arguments[0]):
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    train(config, folder, resume=resume)


def attempt(processes, config, folder, seconds=None, operation=None):
    """One process, killed after so many seconds or operations, or not; a fresh start where no run has begun."""
    claimed = files.is_claimed(folder)
    process = processes.Process(target=work, args=(config, folder, claimed, operation))
    process.start()
    if seconds is not None:
        time.sleep(seconds)
        process.kill()
    process.join()
    return process.exitcode, claimed


@pytest.mark.slow
def test_runs_killed_at_random_end_like_one_that_was_not(processes, tiny_config, tmp_path):
    config = replace(
        tiny_config, batch_size=100, validation=0.2, evaluate_every=1, augment="flip", checkpoint_steps=2, log_every=1
    )
    config = replace(config, model=replace(config.model, hidden=16, bits=8), baselines=False)
    whole, moments, counts = tmp_path / "whole", random.Random(0), Counter()
    attempt(processes, config, whole)  # warms the server of processes
    assert files.missing_parts(whole) == []
    began = time.monotonic()
    attempt(processes, config, tmp_path / "timed")
    duration = time.monotonic() - began
    while counts["kills"] < KILLS:
        folder = tmp_path / f"run {counts['runs']}"
        while True:
            by_time = moments.random() < 0.5
            limit = {"seconds": moments.uniform(0.02, duration)} if by_time else {"operation": moments.randint(1, 150)}
            code, claimed = attempt(processes, config, folder, **limit)
            assert code in (0, -signal.SIGKILL), f"needs a person after {counts}"
            if code == 0:
                break
            counts["kills"] += 1
            counts["by time" if by_time else "by operation"] += 1
            counts["before the claim" if not files.is_claimed(folder) else "after the claim"] += 1
            counts["of a resumed run"] += claimed
        assert_alike(whole, folder)
        counts["runs"] += 1
    print(", ".join(f"{name}: {number}" for name, number in counts.items()))
