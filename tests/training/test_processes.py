"""Two processes with half a batch each are one process with the whole batch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import own_framework
import pytest
import yaml

from vtsearch.frameworks import framework_class
from vtsearch.index import Index
from vtsearch.training import run_folder as files
from vtsearch.training.loop import train
from vtsearch.training.metrics_log import read_metrics

pytestmark = pytest.mark.slow  # two processes that import torch, for every framework
BATCH = 50
TOLERANCES = {"dsh": 1e-3, "a file": 1e-3}
"""By rounding, DSH's pairs leave the hinge and a feature near 0 changes the slope of |u| here or there; from then on
runs differ by more than rounding, on some processors by 1e-4. The first steps do not."""
LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "vtsearch")


def train_in_two_processes(config, folder):
    request = folder.with_suffix(".yaml")
    request.write_text(yaml.safe_dump(files.plain(config)))
    words = ["train", "--config", str(request), "--output", str(folder)]
    ended = subprocess.run(
        [*LAUNCH, *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


def losses(folder):
    return [event["loss"] for event in read_metrics(folder / files.METRICS) if event["event"] in ("step", "epoch")]


@pytest.mark.parametrize(
    ("framework", "options"),
    [
        ("csq", {}),
        ("dch", {}),
        ("dsh", {}),
        ("hashnet", {}),
        ("idhn", {}),
        ("adsh", {"sample": 500, "epochs_per_sample": 1}),
        ("a file", {"quantization": 0.2}),
    ],
)
def test_two_processes_have_the_losses_of_one(tiny_config, tmp_path, framework, options):
    name = own_framework.write(tmp_path) if framework == "a file" else framework
    config = replace(
        tiny_config,
        framework=name,
        options=framework_class(name).Options(**options),
        # each process has a dropout of its own; the head's mean and deviation are those of both
        model=replace(tiny_config.model, dropout=0.0, head_norm="batch"),
        batch_size=BATCH,
        augment="flip+crop",
        nested="8" if framework == "csq" else None,
        accumulate=2 if framework == "csq" else 1,
        sampling="balanced" if framework == "csq" else "shuffled",
        classification=0.1,
        ema=0.9,
        thresholds=0.75 if framework == "csq" else 0.0,
        baselines=False,
        log_every=1,
    )
    one, two = tmp_path / "one", tmp_path / "two"
    result = train(config, one)
    train_in_two_processes(replace(config, batch_size=BATCH // 2), two)
    assert len(losses(one)) == 2 * (500 // (BATCH * config.accumulate) + 1)
    np.testing.assert_allclose(losses(two)[:5], losses(one)[:5], rtol=1e-5)
    np.testing.assert_allclose(losses(two), losses(one), rtol=TOLERANCES.get(framework, 1e-5))
    with Index.open(one / files.CODES / "database") as alone, Index.open(two / files.CODES / "database") as shared:
        assert len(shared) == len(alone) == 1197  # each image once
        different = np.bitwise_count(np.asarray(shared.codes()) ^ np.asarray(alone.codes())).sum()
        assert different <= 0.01 * len(alone) * config.model.bits  # signs of features that rounding decides
    assert result.final["expected"] > 0.2
