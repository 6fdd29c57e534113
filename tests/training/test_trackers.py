from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from vtsearch.training import run_folder as files
from vtsearch.training.loop import train
from vtsearch.training.metrics_log import read_metrics
from vtsearch.training.trackers import IDENTITY, chosen_trackers, require_trackers, scalars

WANDB = """
starts, lines, ended = [], [], []
fails_at = None

class Config(dict):
    def update(self, values, allow_val_change):
        super().update(values)

config = Config()

class Run:
    def log(self, values, step):
        if fails_at is not None and step >= fails_at:
            raise ConnectionError("the network is down")
        lines.append((step, values))

    def finish(self):
        ended.append(len(lines))

def init(**arguments):
    starts.append(arguments)
    global run
    run = Run()
    return run
"""


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    """A module that stands in for wandb and keeps what it is given."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    sys.modules.pop("wandb", None)
    import wandb

    yield wandb
    sys.modules.pop("wandb", None)


@pytest.fixture
def config(tiny_config):
    return replace(tiny_config, epochs=1, baselines=False, trackers="wandb")


def test_a_tracker_gets_each_line_of_the_metrics(wandb, config, tmp_path):
    run = tmp_path / "run"
    train(config, run)
    events = [event for event in read_metrics(run / files.METRICS) if "step" in event]
    assert {event["event"] for event in events} == {"step", "epoch", "evaluation"}
    assert wandb.lines == [
        (event["step"], scalars(event["event"], {k: v for k, v in event.items() if k != "event"})) for event in events
    ]
    (start,) = wandb.starts
    assert (start["project"], start["name"], start["resume"]) == ("vtsearch", "run", "allow")
    assert start["id"] in (run / IDENTITY).read_text()
    assert wandb.config["optimizer.lr"] == 2e-3
    assert wandb.ended == [len(wandb.lines)]


def test_a_continued_run_is_the_same_one_for_the_tracker(wandb, config, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("vtsearch.training.loop.Run._end_epoch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    train(config, run, resume=True)
    first, second = wandb.starts
    assert first == second
    assert first["project"] == "ours"
    assert wandb.ended[0] < wandb.ended[1] == len(wandb.lines)


def interrupt(run):
    raise KeyboardInterrupt


def test_a_tracker_that_fails_does_not_end_the_run(wandb, config, tmp_path):
    wandb.fails_at = 6
    said = io.StringIO()
    train(config, tmp_path / "run", progress=said)
    assert [step for step, _ in wandb.lines] == [2, 4]
    line = "warning: trackers: wandb failed, and the run goes on without it (the network is down)"
    assert said.getvalue().splitlines().count(line) == 1
    assert [e["step"] for e in read_metrics(tmp_path / "run" / files.METRICS) if e["event"] == "step"] == [2, 4, 6, 8]


def test_a_missing_package_is_an_error_before_the_folder_is_made(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr("vtsearch.training.trackers.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"^trackers: wandb is not installed: pip install wandb$"):
        train(replace(tiny_config, trackers="wandb"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_accelerate_does_not_know_is_refused(monkeypatch):
    monkeypatch.setattr("vtsearch.training.trackers.find_spec", lambda name: name)
    monkeypatch.setattr("accelerate.tracking.LOGGER_TYPE_TO_CLASS", {"tensorboard": None})
    with pytest.raises(ModuleNotFoundError, match=r"^trackers: trackio needs a newer accelerate"):
        require_trackers("trackio")


def test_without_a_choice_it_is_tensorboard_if_installed(monkeypatch):
    for found, names in (("tensorboard", ("tensorboard",)), ("wandb", ())):
        monkeypatch.setattr("vtsearch.training.trackers.find_spec", lambda name, found=found: name == found or None)
        assert chosen_trackers(None) == names
    assert chosen_trackers("none") == ()
    assert chosen_trackers("trackio,wandb") == ("trackio", "wandb")


@pytest.mark.parametrize("text", ["", "tensorboard,", "wandb,wandb", "mlflow"])
def test_what_is_no_tracker_is_refused(tiny_config, text):
    with pytest.raises(ValueError, match=r"^trackers: expected none, or joined by commas any of tensorboard, wandb"):
        replace(tiny_config, trackers=text)


def test_numbers_are_grouped_by_what_they_are_of():
    assert scalars("step", {"step": 2, "epoch": 1, "loss": 0.5}) == {"train/epoch": 1, "train/loss": 0.5}
    assert scalars("evaluation", {"step": 2, "on": "query", "best": 0.5}) == {"query/best": 0.5}
    assert scalars("baseline", {"step": 0, "of": "random codes", "best": 0.5}) == {"random codes/best": 0.5}
    assert scalars("device", {"loss": 0.5}) == {}
