from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
from docstring_parser import parse_from_object

from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.training.config import CHOICES, RANGES, OptimizerConfig, ScheduleConfig, TrainConfig, flat
from vtsearch.training.trees import differing_keys


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
        ({"accumulate": 0}, "accumulate: expected at least 1, got 0"),
        ({"workers": -1}, "workers: expected at least 0, got -1"),
        ({"cache_gib": -1.0}, "cache_gib: expected at least 0, got -1.0"),
        ({"images": "gpu"}, "images: expected one of auto, loader, device, got 'gpu'"),
        ({"validation": 1.0}, "validation: expected a share from 0 to below 1, got 1.0"),
        ({"schedule": ScheduleConfig(warmup=-0.1)}, "schedule.warmup: expected a share from 0 to below 1, got -0.1"),
        ({"optimizer": OptimizerConfig(lr=0.0)}, "optimizer.lr: expected more than 0, got 0.0"),
        ({"optimizer": OptimizerConfig(momentum=1.0)}, "optimizer.momentum: expected from 0 to below 1, got 1.0"),
        ({"optimizer": OptimizerConfig(clip=-1.0)}, "optimizer.clip: expected at least 0, got -1.0"),
        ({"optimizer": OptimizerConfig(weight_decay=-0.1)}, "optimizer.weight_decay: expected at least 0, got -0.1"),
        ({"optimizer": OptimizerConfig(layer_decay=0.0)}, "optimizer.layer_decay: expected above 0 to 1, got 0.0"),
        ({"epochs": 10**9}, "epochs: expected at most 1,000,000, got 1000000000"),
        ({"epochs": 1.5}, "epochs: expected a whole number, at least 1, got 1.5"),
        ({"epochs": True}, "epochs: expected a whole number, at least 1, got True"),
        ({"seed": 2**64}, "seed: expected at most 9,223,372,036,854,775,807, got 18446744073709551616"),
        ({"sampling": "classes"}, "sampling: expected one of shuffled, balanced, got 'classes'"),
        ({"precision": "fp8"}, "precision: expected one of auto, bf16, fp16, fp32, got 'fp8'"),
        ({"optimizer": OptimizerConfig(name="adamx")}, "optimizer.name: expected one of adamw, adam, sgd, got 'adamx'"),
    ],
)
def test_values_that_no_run_can_have_are_refused(tiny_config, changes, message):
    with pytest.raises(ValueError) as error:
        replace(tiny_config, **changes)
    assert str(error.value) == message


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "1", None])
def test_no_number_of_a_run_is_nan_infinite_or_text(tiny_config, name, value):
    if value is None and name == "workers":
        return
    owner, _, field = name.rpartition(".")
    changes = {owner: replace(getattr(tiny_config, owner), **{field: value})} if owner else {field: value}
    with pytest.raises(ValueError, match=f"^{name}: expected .*, got {value!r}$"):
        replace(tiny_config, **changes)


def test_every_number_and_every_choice_of_a_run_has_its_range():
    others = {"baselines", "compile", "framework", "protocol", "data", "strip_prefix", "options", "augment", "nested"}
    others |= {"gradient_checkpointing", "start_from", "start_fingerprint", "trackers", "tf32"}
    named = set(RANGES) | set(CHOICES) | others
    names = {field.name for field in fields(TrainConfig)} - {"model", "optimizer", "schedule"}
    names |= {f"optimizer.{field.name}" for field in fields(OptimizerConfig)}
    names |= {f"schedule.{field.name}" for field in fields(ScheduleConfig)}
    assert names == named


@pytest.mark.parametrize(
    "changes",
    [
        {"baselines": 1},
        {"gradient_checkpointing": 1},
        {"compile": "yes"},
        {"tf32": 1},
        {"protocol": 3},
        {"data": 3},
        {"strip_prefix": 3},
        {"trackers": 3},
    ],
)
def test_values_of_another_kind_are_refused(tiny_config, changes):
    with pytest.raises(TypeError, match=f"^{next(iter(changes))}: expected"):
        replace(tiny_config, **changes)


def test_nested_lengths_ascend_to_the_bits(tiny_config):
    assert replace(tiny_config, nested="4,8").prefixes == (4, 8)
    assert tiny_config.prefixes == ()
    for text in ("", "8,4", "4,4", "12", "4,16", "0,4", "4,,8", "four", "-4"):
        with pytest.raises(ValueError, match=r"^nested: expected ascending lengths below 12, the bits"):
            replace(tiny_config, nested=text)


@pytest.mark.parametrize("text", ["mirror", "flip,crop", "flip+flip", 3])
def test_what_is_no_augmentation_is_refused(tiny_config, text):
    with pytest.raises(ValueError, match=r"^augment: expected none, or"):
        replace(tiny_config, augment=text)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_number_of_an_objective_is_nan_or_infinite(framework):
    options = framework_class(framework).Options()
    numbers = [f.name for f in fields(options) if isinstance(getattr(options, f.name), int | float)]
    for name in numbers:
        for value in (float("nan"), float("inf"), -1, "many"):
            with pytest.raises(ValueError, match=f"^{name}: expected"):
                replace(options, **{name: value})


def test_the_flat_tree_has_the_models_fields_beside_the_runs(tiny_config):
    tree = flat(tiny_config)
    assert tree["bits"] == 12
    assert tree["optimizer"]["lr"] == 2e-3
    assert "model" not in tree


def test_differing_keys_are_named_with_their_path_and_absent_ones_too():
    mine = {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}
    other = {"a": 1, "b": {"c": 5, "d": 3}, "f": 6}
    assert differing_keys(mine, other) == ["b.c", "e", "f"]
