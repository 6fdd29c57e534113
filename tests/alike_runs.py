"""Two runs that must have become the same."""

from __future__ import annotations

from dataclasses import asdict

import torch

from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.metrics_log import read_metrics
from vtsearch.training.result import read_result

TIMES = ("seconds", "images_per_second")


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one if key not in TIMES)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def journal_without_times(folder):
    return [{k: v for k, v in event.items() if k not in TIMES} for event in read_metrics(folder / files.METRICS)]


def assert_alike(whole, killed):
    """Two runs have the same weights, states, journals and results, but for the times, and nothing is left over."""
    for name in (files.FINAL, files.BEST):
        one, other = ((run / name / "model.safetensors").read_bytes() for run in (whole, killed))
        assert one == other
    states = [load_state(run / files.LAST) for run in (whole, killed)]
    for state in states:
        del state["metrics_bytes"]  # the lines hold times
    assert equal(*states)
    assert journal_without_times(whole) == journal_without_times(killed)
    results = [asdict(read_result(run)) for run in (whole, killed)]
    assert equal(*results)
    assert sorted(path.name for path in whole.iterdir()) == sorted(path.name for path in killed.iterdir())
