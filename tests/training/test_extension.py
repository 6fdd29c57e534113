"""More epochs for a run that has begun."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from alike_runs import assert_alike

from vtsearch.data import open_dataset
from vtsearch.data.given import given_images
from vtsearch.errors import VtsearchError
from vtsearch.frameworks import framework_class
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.config import ScheduleConfig
from vtsearch.training.extension import check_extension, depends_on_epochs, require_last
from vtsearch.training.loop import Run, train
from vtsearch.training.metrics_log import read_metrics
from vtsearch.training.optimization import one_cycle
from vtsearch.training.result import RunResult, write_result

CONSTANT = ScheduleConfig(name="constant")
DIGITS = open_dataset("digits").source
FEW = given_images((DIGITS.pixels(np.arange(400)).transpose(0, 2, 3, 1), DIGITS.labels[:400]))
"""Of which some 350 are trained on, in two steps an epoch."""


@pytest.fixture
def claimed(tiny_config, tmp_path):
    """The folder of a run of two epochs and one cycle that has begun."""
    files.claim(tmp_path / "run", tiny_config, open_dataset("digits").split)
    return tmp_path / "run"


def finish(folder, epochs):
    write_result(folder, RunResult({}, None, {}, 0.5, epochs, "query", epochs, 1.0, 1.0))


def test_more_epochs_are_no_other_run_and_fewer_are(claimed, tiny_config):
    files.check(claimed, replace(tiny_config, epochs=3), resume=True)
    with pytest.raises(VtsearchError, match=r"epochs: the run in .* has 2, this configuration 1;"):
        files.check(claimed, replace(tiny_config, epochs=1), resume=True)


def test_an_unfinished_run_takes_more_epochs_with_the_constant_schedule_alone(claimed, tiny_config):
    longer = replace(tiny_config, epochs=3)
    assert depends_on_epochs(longer)
    check_extension(claimed, replace(longer, schedule=CONSTANT))
    check_extension(claimed, tiny_config)
    with pytest.raises(
        VtsearchError, match=r"epochs: the run in .*run has 2 and is not finished, and its learning rate \(one_cycle\)"
    ):
        check_extension(claimed, longer)
    finish(claimed, 2)
    check_extension(claimed, longer)
    files.lengthen(claimed, longer)
    assert files.read_config(claimed)["epochs"] == 3
    with pytest.raises(VtsearchError, match="has 3 and is not finished"):
        check_extension(claimed, replace(tiny_config, epochs=4))


def test_the_configuration_of_a_run_never_gets_shorter(claimed, tiny_config):
    files.lengthen(claimed, replace(tiny_config, epochs=1))
    assert files.read_config(claimed)["epochs"] == 2


def test_a_finished_run_without_its_checkpoint_has_an_end(claimed, tiny_config):
    finish(claimed, 2)
    with pytest.raises(VtsearchError, match=r"epochs: the run in .* has no last/ any more, .* continued to 4"):
        require_last(claimed, replace(tiny_config, epochs=4))


@pytest.fixture
def config(tiny_config):
    model = replace(tiny_config.model, hidden=16, bits=8)
    tiny_config = replace(tiny_config, model=model, protocol=FEW.protocol.name, batch_size=200, baselines=False)
    return replace(tiny_config, schedule=CONSTANT, log_every=1)


@pytest.mark.slow
@pytest.mark.usefixtures("_without_figures")
@pytest.mark.parametrize(
    "values",
    [
        {"framework": "hashnet", "options": {"continuation": 1}, "ema": 0.5, "evaluate_every": 1, "augment": "flip"},
        {"validation": 0.2, "evaluate_every": 2},
    ],
)
def test_two_epochs_and_two_are_four(config, tmp_path, monkeypatch, values):
    options = framework_class(values.get("framework", "csq")).Options(**values.pop("options", {}))
    four = replace(config, **values, options=options, epochs=4)
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    train(four, whole, images=FEW)
    train(replace(four, epochs=2), longer, images=FEW)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", die)
        with pytest.raises(KeyboardInterrupt):
            train(four, longer, images=FEW, resume=True)
    assert load_state(longer / files.LAST)["epochs"] == 4
    result = train(four, longer, images=FEW, resume=True)
    assert result.epochs == 4
    assert_alike(whole, longer)
    assert (whole / files.CONFIG).read_bytes() == (longer / files.CONFIG).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("_without_figures")
def test_another_schedule_begins_anew_over_the_added_epochs(config, tmp_path):
    config, said = replace(config, schedule=ScheduleConfig(name="one_cycle"), epochs=1), io.StringIO()
    run = tmp_path / "run"
    train(config, run, images=FEW)
    train(replace(config, epochs=3), run, images=FEW, resume=True, progress=said)
    assert "epochs: 1 before, 3 now; a new one_cycle over the added ones\n" in said.getvalue()
    rates = [event["lr"] for event in read_metrics(run / files.METRICS) if event["event"] == "step"]
    shares = [0, 1 / 2, 0, 1 / 4, 2 / 4, 3 / 4]
    assert rates == [pytest.approx(config.optimizer.lr * one_cycle(share, 0.2)) for share in shares]

    (run / files.CONFIG).write_text((run / files.CONFIG).read_text().replace("epochs: 3", "epochs: 2"))
    (run / files.RESULT).unlink()
    with pytest.raises(VtsearchError, match="not the configuration that this run was started with"):
        train(replace(config, epochs=2), run, images=FEW, resume=True)
    (run / files.CONFIG).write_text((run / files.CONFIG).read_text().replace("epochs: 2", "epochs: 3"))
    finish(run, 2)
    shutil.rmtree(run / files.LAST)
    with pytest.raises(VtsearchError, match="has no last/ any more"):
        train(replace(config, epochs=3), run, images=FEW, resume=True)
