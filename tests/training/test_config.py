from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
from docstring_parser import parse_from_object

from vtsearch.training.config import OptimizerConfig, ScheduleConfig, TrainConfig, differing_keys, flat


@pytest.mark.parametrize("kind", [TrainConfig, OptimizerConfig, ScheduleConfig])
def test_every_field_documents_itself(kind):
    assert is_dataclass(kind)
    documented = {parameter.arg_name for parameter in parse_from_object(kind).params if parameter.description}
    assert {field.name for field in fields(kind)} == documented


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ({"workers": -1}, "workers: expected at least 0, got -1"),
        ({"cache_gib": -1.0}, "cache_gib: expected at least 0, got -1.0"),
        ({"images": "gpu"}, "images: expected one of auto, loader, device, got 'gpu'"),
        ({"validation": 1.0}, "validation: expected a share from 0 to below 1, got 1.0"),
        ({"schedule": ScheduleConfig(warmup=-0.1)}, "schedule.warmup: expected a share from 0 to below 1, got -0.1"),
        ({"optimizer": OptimizerConfig(lr=0.0)}, "optimizer.lr: expected more than 0, got 0.0"),
        ({"optimizer": OptimizerConfig(momentum=1.0)}, "optimizer.momentum: expected from 0 to below 1, got 1.0"),
        ({"precision": "fp8"}, "precision: expected one of auto, bf16, fp32, got 'fp8'"),
        ({"optimizer": OptimizerConfig(name="adamx")}, "optimizer.name: expected one of adamw, adam, sgd, got 'adamx'"),
    ],
)
def test_values_that_no_run_can_have_are_refused(tiny_config, changes, message):
    with pytest.raises(ValueError) as error:
        replace(tiny_config, **changes)
    assert str(error.value) == message


def test_the_flat_tree_has_the_models_fields_beside_the_runs(tiny_config):
    tree = flat(tiny_config)
    assert tree["bits"] == 12
    assert tree["optimizer"]["lr"] == 2e-3
    assert "model" not in tree


def test_differing_keys_are_named_with_their_path_and_absent_ones_too():
    mine = {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}
    other = {"a": 1, "b": {"c": 5, "d": 3}, "f": 6}
    assert differing_keys(mine, other) == ["b.c", "e", "f"]
