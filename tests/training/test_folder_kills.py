"""A run in miniature, with everything that a run does to its folder, killed at random file operations."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from thorough import amount

from vtsearch.data import Split
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state, replace_folder, save_state
from vtsearch.training.metrics_log import MetricsLog
from vtsearch.training.result import RunResult, read_result, write_result

STEPS = 4
SPLIT = Split(np.arange(3), np.arange(3, 9), np.arange(3, 9))
RESULT = RunResult({"expected": 0.5}, 10, {}, 0.5, STEPS, "query", STEPS, 1.0, 1.0)


def train_in_miniature(config, folder, resume):
    """The steps of a run: lock, claim, resume, log, checkpoints, best/, final/, codes/ and result.json."""
    files.check(folder, config, resume=resume)
    with files.lock(folder):
        files.check(folder, config, resume=resume)
        files.claim(folder, config, SPLIT)
        state = load_state(folder / files.LAST) or {"step": 0, "weights": torch.ones(500), "bytes": 0}
        with MetricsLog(folder / files.METRICS) as log:
            log.cut(state["bytes"])
            while state["step"] < STEPS:
                state["step"] += 1
                state["weights"] = state["weights"] * 1.5 - state["step"]
                log.write("step", step=state["step"], loss=float(state["weights"].sum()))
                replace_folder(folder / files.BEST, lambda fresh: write_weights(fresh, state))
                state["bytes"] = log.sync()
                save_state(folder / files.LAST, state)
        for name in (files.FINAL, files.CODES):
            replace_folder(folder / name, lambda fresh: write_weights(fresh, state))
        write_result(folder, RESULT)


def write_weights(fresh, state):
    (fresh / "weights").write_bytes(state["weights"].numpy().tobytes())
    (fresh / "step").write_text(str(state["step"]))


def work(config, folder, resume, operation):
    """Train, and die at a file operation of that number in the folder, if it comes to it."""
    left = [operation]

    def count(_event, arguments):
        if arguments and str(folder) in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    train_in_miniature(config, folder, resume)


def content_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_every_kill_leaves_a_folder_that_a_fresh_start_or_a_resume_takes(tiny_config, tmp_path):
    random_, counts, fork = random.Random(0), Counter(), multiprocessing.get_context("fork")
    train_in_miniature(tiny_config, tmp_path / "whole", resume=False)
    whole = content_of(tmp_path / "whole")
    while counts["kills"] < amount(60, 600):
        folder = tmp_path / f"run {counts['runs']}"
        while read_result(folder) is None:
            claimed = files.is_claimed(folder)
            resume = claimed or random_.random() < 0.5
            process = fork.Process(target=work, args=(tiny_config, folder, resume, random_.randint(1, 120)))
            process.start()
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL), f"a folder that needs a person, after {counts}"
            counts["kills"] += process.exitcode != 0
            counts["kills before the claim"] += process.exitcode != 0 and not files.is_claimed(folder)
            counts["resumed"] += claimed
        train_in_miniature(tiny_config, folder, resume=True)  # also removes what the last kill left
        found = content_of(folder)
        assert found.keys() == whole.keys()
        assert all(found[path] == whole[path] for path in whole if path.name != files.ENVIRONMENT)
        counts["runs"] += 1
        sys.stdout.write(", ".join(f"{name}: {number}" for name, number in counts.items()) + "\n")
        sys.stdout.flush()
