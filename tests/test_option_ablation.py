"""The departures that `benchmarks/option_ablation.py` trains are options that there are, and each changes something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
option_ablation = pytest.importorskip("option_ablation")


@pytest.mark.parametrize(("framework", "change"), option_ablation.ON_DIGITS + option_ablation.ON_PHOTOGRAPHS)
def test_a_departure_is_an_option_with_another_value(framework, change):
    config = option_ablation.on_digits(framework, epochs=1)
    departed = option_ablation.departed(config, change)
    assert departed != config
    assert {name: getattr(departed.options, name) for name in change} == change


@pytest.mark.parametrize("change", option_ablation.ANY_FRAMEWORK)
def test_a_departure_of_the_model_is_a_field_with_another_value(change):
    config = option_ablation.on_digits("csq", epochs=1)
    departed = option_ablation.departed(config, change)
    assert departed.model != config.model
    assert {name: getattr(departed.model, name) for name in change} == change


@pytest.mark.slow
def test_evaluations_that_differ_by_ties_stand_between_their_bounds(tmp_path):
    random = np.random.default_rng(0)
    for side, count in (("query", 20), ("database", 300)):
        np.save(tmp_path / f"{side}_features.npy", random.standard_normal((count, 8)).astype(np.float32))
        np.save(tmp_path / f"{side}_labels.npy", random.integers(3, size=count))
    script = Path(option_ablation.__file__)
    done = subprocess.run(
        [sys.executable, str(script), "--codes", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    values = {name.strip(): cells for name, *cells in rows}
    worst, best = (float(values[f"`ties={ties}`"][0]) for ties in ("worst", "best"))
    assert worst < best
    for name in ("`ties=expected`", "`ties=index`", "numpy's default sort on this processor"):
        assert worst <= float(values[name][0]) <= best
