"""Killed with SIGKILL at any moment and continued, a run reaches the bytes that it would have reached anyway."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import own_framework
import pytest
import torch
from alike_runs import assert_alike
from thorough import amount

from vtsearch import load_model
from vtsearch.cli import main
from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.training import loop
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.loop import Run, train

KILLS = 4
ANYWHERE, KILLS_OF_A_RUN = amount(15, 300), 9
OPERATIONS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.truncate"})
OWN = (
    *("--protocol", "digits", "--backbone", "test_vit", "--no-pretrained", "--image-size", "32", "--bits", "12"),
    *("--epochs", "2", "--batch-size", "100", "--precision", "fp32", "--baselines", "false"),
    *("--checkpoint-steps", "5", "--evaluate-every", "1"),
)
SHORT = {
    "adsh": {"sample": 500, "epochs_per_sample": 1},
    "dpn": {"update": "closest"},
    "hashnet": {"continuation": 1},
}
"""Options with which two epochs are enough to try everything that a framework remembers."""
NESTED = {"csq": "4,8", "greedyhash": "4,8", "hashnet": "8"}
"""Frameworks that are tried at several lengths at once."""


@pytest.fixture(scope="module")
def processes():
    """Processes that have imported everything when they start, so that a kill seldom hits an import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vtsearch.training.loop", "sklearn.datasets", "matplotlib.pyplot"])
    first = context.Process(target=int)
    first.start()
    first.join()
    return context


def start(processes, config, folder):
    process = processes.Process(target=train, args=(config, folder), kwargs={"resume": True})
    process.start()
    return process


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "options"), [("csq", {}), ("adsh", {"sample": 300})])
def test_a_run_killed_at_random_moments_ends_like_one_that_was_not(
    processes, tiny_config, tmp_path, framework, options
):
    kind = framework_class(framework)
    in_database = kind.trains_on == "database"
    config = replace(
        tiny_config,
        framework=framework,
        options=kind.Options(**options, **({"epochs_per_sample": 1} if in_database else {})),
        evaluate_every=1,
        validation=0.0 if in_database else 0.1,
        augment="flip",
        checkpoint_steps=3,
        epochs=2,
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(processes, config, whole)
    process.join()
    assert process.exitcode == 0

    moments = np.sort(np.random.default_rng(0).uniform(0.1, 0.9, KILLS)) * (whole / files.METRICS).stat().st_size
    for moment in moments:
        process = start(processes, config, killed)
        wait_for_log(process, killed / files.METRICS, moment)
        assert process.exitcode is None
        process.kill()
        process.join()
    process = start(processes, config, killed)
    process.join()
    assert process.exitcode == 0
    assert_alike(whole, killed)


def wait_for_log(process, log, size):
    """Until the metrics log has so many bytes, or the process has ended."""
    while process.exitcode is None and not (log.exists() and log.stat().st_size >= size):
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_goes_on_from_between_two_checkpoints_of_its_second_epoch(
    processes, tiny_config, tmp_path, framework
):
    config = replace(
        tiny_config,
        framework=framework,
        options=framework_class(framework).Options(**SHORT.get(framework, {})),
        batch_size=50,
        accumulate=2,
        checkpoint_steps=2,
        epochs=2,
        baselines=False,
        augment="flip+crop+trivial+erasing",
        classification=0.1,
        ema=0.9,
        evaluate_every=1,
        thresholds=0.0 if framework == "adsh" else 0.75,
        nested=NESTED.get(framework),
        sampling="shuffled" if framework_class(framework).learns_codes else "balanced",
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(config, whole)
    steps = load_state(whole / files.LAST)["state"]["step"]
    process = processes.Process(target=train_and_die, args=(config, killed, steps - 1))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    reached = load_state(killed / files.LAST)["state"]
    assert (reached["epoch"], reached["step"]) == (1, steps - 2)
    train(config, killed, resume=True)
    assert_alike(whole, killed)


@pytest.mark.slow
def test_a_framework_of_the_users_own_goes_on_and_its_model_does_without_the_file(
    processes, tmp_path, monkeypatch, capsys
):
    framework = own_framework.write(tmp_path)
    file, moved = tmp_path / "my_file.py", tmp_path / "moved" / "my_file.py"
    content = file.read_text()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    words = ["train", *OWN, "--options.quantization", "0.2"]
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--framework", "my_file.py:MyLoss", "--output", str(whole)]) == 0
    assert files.read_config(whole)["framework"] == framework
    assert files.read_config(whole)["options"] == {"quantization": 0.2}
    assert (whole / files.FRAMEWORK).read_text() == content

    process = processes.Process(target=command_and_die, args=([*words, "--framework", framework], killed, 6))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert load_state(killed / files.LAST)["state"]["step"] == 5
    again = ["train", "--output", str(killed), "--resume"]
    file.write_text(content.replace("tanh()", "sin()"))
    capsys.readouterr()
    assert main(again) == 2
    refused = capsys.readouterr().err
    assert refused.startswith(f"vtsearch train: framework: {framework} (sha256 ")
    assert f"is not what the run in {killed} was begun with, {killed / files.FRAMEWORK} (sha256 " in refused
    moved.parent.mkdir()
    moved.write_text(content)
    monkeypatch.chdir(moved.parent)
    assert main([*again, "--framework", "my_file.py:MyLoss"]) == 0
    assert_alike(whole, killed)

    moved.unlink()
    file.unlink()
    model, codes, page = killed / files.FINAL, killed / files.CODES, tmp_path / "page.html"
    assert load_model(model).bits == 12
    assert (
        main(["encode", "digits", "--model", str(model), "--part", "query", "--output", str(tmp_path / "codes")]) == 0
    )
    assert main(["evaluate", "--queries", str(codes / "query"), "--database", str(codes / "database")]) == 0
    assert main(["report", str(killed), "--output", str(page)]) == 0
    assert "my_file.py:MyLoss" in page.read_text()
    assert str(tmp_path) not in page.read_text()


def command_and_die(words, folder, step):
    """A command of ``vtsearch train`` as `train_and_die`."""
    loop.Run = mortal(step)
    main([*words, "--output", str(folder)])


def train_and_die(config, folder, step):
    """Train until a step is done, and end there without a chance to say goodbye."""
    loop.Run = mortal(step)
    train(config, folder)


def mortal(last):
    """A run that is killed at a step."""

    class Mortal(Run):
        def _step(self, *batch):
            if self.state.step == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._step(*batch)

    return Mortal


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
        tiny_config, batch_size=50, validation=0.2, evaluate_every=1, augment="flip", checkpoint_steps=2, log_every=1
    )
    config = replace(config, sampling="balanced", accumulate=2)
    config = replace(config, model=replace(config.model, hidden=16, bits=8), baselines=False)
    whole, moments, counts = tmp_path / "whole", random.Random(ANYWHERE), Counter()
    attempt(processes, config, whole)  # warms the server of processes
    assert files.missing_parts(whole) == []
    began = time.monotonic()
    attempt(processes, config, tmp_path / "timed")
    duration = time.monotonic() - began
    while counts["kills"] < ANYWHERE:
        folder = tmp_path / f"run {counts['runs']}"
        for number in range(KILLS_OF_A_RUN + 1):
            by_time = number % 3 == 0
            if number == KILLS_OF_A_RUN:
                limit = {}
            elif by_time:
                limit = {"seconds": moments.uniform(0.02, 0.7 * duration)}
            else:
                limit = {"operation": moments.randint(1, 80)}
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
        sys.stdout.write(", ".join(f"{name}: {number}" for name, number in counts.items()) + "\n")
        sys.stdout.flush()
