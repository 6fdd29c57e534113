from __future__ import annotations

import io
from dataclasses import replace

import pytest

from vtsearch.cli.train import _table
from vtsearch.models import load_model
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.config import OptimizerConfig
from vtsearch.training.loop import Run, train
from vtsearch.training.metrics_log import read_metrics
from vtsearch.training.result import read_result

REASON = "no better mAP on validation in 2 evaluations"


@pytest.fixture(scope="module")
def config(tiny_config):
    """A run that learns nothing, so that no evaluation is better than the first."""
    return replace(
        tiny_config,
        optimizer=OptimizerConfig(lr=1e-12),
        epochs=6,
        evaluate_every=1,
        validation=0.2,
        patience=2,
        baselines=False,
    )


@pytest.fixture(scope="module")
def stopped(config, tmp_path_factory):
    """(folder, result, what a person saw) of the run."""
    folder, seen = tmp_path_factory.mktemp("stopped") / "run", io.StringIO()
    return folder, train(config, folder, progress=seen), seen.getvalue()


def events(folder):
    return [
        {k: v for k, v in event.items() if k != "images_per_second"} for event in read_metrics(folder / "metrics.jsonl")
    ]


def test_a_run_ends_after_evaluations_that_are_no_better(config, stopped, tmp_path):
    folder, result, seen = stopped
    assert (result.epochs, result.best_epoch, result.stopped) == (3, 1, REASON)
    (stop,) = [event for event in events(folder) if event["event"] == "stop"]
    assert stop == {"event": "stop", "epoch": 3, "step": 21, "reason": REASON}
    assert f"epoch 3/6: the run ends here, {REASON}" in seen.splitlines()
    assert f"stopped after epoch 3: {REASON}" in _table(result, config, tmp_path).splitlines()
    assert 0.7 * 3 * 400 < result.images_per_second * result.seconds < 1.4 * 3 * 400  # both are rounded


@pytest.mark.slow
@pytest.mark.parametrize("method", ["_end_epoch", "_conclude"])
def test_a_run_that_stops_is_continued_to_the_same_end(config, stopped, tmp_path, monkeypatch, method):
    folder, result, _ = stopped
    run, original = tmp_path / "run", getattr(Run, method)

    def interrupted(self):
        if self.state.step == 21:
            raise KeyboardInterrupt
        return original(self)

    with monkeypatch.context() as patched:
        patched.setattr(Run, method, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    again = train(config, run, resume=True)
    assert replace(again, seconds=0, images_per_second=0) == replace(result, seconds=0, images_per_second=0)
    assert events(run) == events(folder)
    assert load_model(run / files.FINAL).fingerprint() == load_model(folder / files.FINAL).fingerprint()
    assert read_result(run).stopped == REASON


@pytest.mark.slow
def test_queries_choose_where_nothing_is_held_out(config, tmp_path):
    config = replace(config, validation=0.0, patience=1)
    result = train(config, tmp_path / "run")
    assert (result.epochs, result.best_epoch, result.chosen_on) == (2, 1, "query")
    assert result.stopped == "no better mAP on query in 1 evaluation"
    evaluated = [event["epoch"] for event in events(tmp_path / "run") if event["event"] == "evaluation"]
    assert evaluated == [1, 2]
    assert load_state(tmp_path / "run" / files.LAST)["state"]["stale"] == 1


def test_too_few_held_out_images_choose_no_epoch(config, tmp_path):
    message = r"^patience: expected 0 with a validation share of fewer than 50 images, which choose no epoch, got 2$"
    with pytest.raises(ValueError, match=message):
        train(replace(config, validation=0.05), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
