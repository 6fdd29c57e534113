from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from vtsearch.cli.reproduce import _changes
from vtsearch.cli.train import First, parser
from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.models import ModelConfig
from vtsearch.reproduction.grid import Cell
from vtsearch.reproduction.recipe import Recipe, cell_config, recipe_of
from vtsearch.training.config import DEFAULTS, OptimizerConfig, ScheduleConfig, TrainConfig, config_of, flat
from vtsearch.training.effects import IDLE, idle_values, without_idle_values
from vtsearch.training.presets import PRESETS, completed, preset

CNN = ModelConfig(backbone="resnet18", pretrained=False)
REFUSED = [
    (
        {"optimizer": OptimizerConfig(momentum=0.5)},
        "optimizer.momentum",
        "0.9 where optimizer.name is not sgd, got 0.5",
    ),
    (
        {"schedule": ScheduleConfig(name="constant", warmup=0.1)},
        "schedule.warmup",
        "0.2 where schedule.name is constant, got 0.1",
    ),
    ({"teaching": 1.0}, "teaching", "0.0 where nested is empty, got 1.0"),
    ({"smoothing": 0.1}, "smoothing", "0.0 where classification is 0, got 0.1"),
    ({"validation": 0.1}, "validation", "0.0 where evaluate_every is 0, got 0.1"),
    ({"patience": 1}, "patience", "0 where evaluate_every is 0, got 1"),
    (
        {"patience": 2, "evaluate_every": 3, "epochs": 9},
        "patience",
        "0 where evaluate_every and epochs leave no more evaluations, got 2",
    ),
    ({"images": "loader", "cache_gib": 1.0}, "cache_gib", "4.0 where images is loader, got 1.0"),
    ({"model": replace(CNN, dropout=0.1)}, "dropout", "0.5 where head is not tokens, got 0.1"),
    ({"model": ModelConfig(head="cls", hidden=32)}, "hidden", "1024 where head is not tokens, got 32"),
    ({"model": ModelConfig(head="cls", groups=2)}, "groups", "4 where head is not dual, got 2"),
    ({"model": replace(CNN, head_init="published")}, "head_init", "'fan_in' where head is pooled, got 'published'"),
    (
        {"model": replace(CNN, backbone_dropout=0.1)},
        "backbone_dropout",
        "0.0 where backbone is no Vision Transformer, got 0.1",
    ),
    (
        {"model": ModelConfig(backbone="alexnet", drop_path=0.1)},
        "drop_path",
        "0.0 where backbone has no blocks to leave out, got 0.1",
    ),
]


@pytest.mark.parametrize(("changes", "name", "message"), REFUSED)
def test_a_value_that_does_nothing_is_refused(changes, name, message):
    with pytest.raises(ValueError) as error:
        TrainConfig(**{"model": ModelConfig()} | changes)
    assert str(error.value) == f"{name}: expected its default {message}, which would do nothing"


@pytest.mark.parametrize(("pretrained", "idle"), [(True, {"head_init", "dropout"}), (False, set())])
def test_a_head_that_the_backbone_decides_counts(tiny_config, pretrained, idle):
    """Without a class token it is pooled after pretraining, and all tokens before."""
    fields = {"backbone": "vit_base_patch16_siglip_224", "head": "auto", "head_init": "published", "dropout": 0.1}
    tree = flat(tiny_config) | fields | {"pretrained": pretrained, "hidden": DEFAULTS["hidden"]}
    assert set(idle_values(tree, DEFAULTS)) == idle


def test_every_rule_is_tried():
    assert [name for _, name, _ in REFUSED] == [each.field for each in IDLE]


def test_values_with_an_effect_are_taken(tiny_config):
    sgd = OptimizerConfig(name="sgd", momentum=0.5)
    changed = replace(
        tiny_config, optimizer=sgd, schedule=ScheduleConfig(warmup=0.1), nested="4", teaching=1.0, classification=0.1
    )
    changed = replace(changed, smoothing=0.1, epochs=5, evaluate_every=1, validation=0.1, patience=3, cache_gib=1.0)
    model = replace(changed.model, dropout=0.1, head_init="published", backbone_dropout=0.1, drop_path=0.1)
    assert idle_values(flat(replace(changed, model=model)), DEFAULTS) == {}
    alexnet = ModelConfig(backbone="alexnet", head_init="published")
    assert idle_values(flat(replace(tiny_config, model=alexnet)), DEFAULTS) == {}


def suits(name, framework):
    """Whether a preset is one of the framework."""
    return {"transhash": framework == "dch", "paper": framework_class(framework).is_supervised}.get(name, True)


@pytest.mark.parametrize(
    ("name", "framework"), [pair for pair in itertools.product(PRESETS, FRAMEWORKS) if suits(*pair)]
)
def test_presets_have_no_value_that_does_nothing(name, framework):
    assert idle_values(flat(preset(name, framework, "digits")), DEFAULTS) == {}


def test_defaults_are_those_of_the_fields():
    assert flat(TrainConfig(model=ModelConfig())) == DEFAULTS


def test_what_a_preset_supplies_gives_way_to_what_makes_it_useless():
    supplied = flat(preset("paper", "csq", "digits"))
    tree = supplied | {"backbone": "resnet18", "smoothing": 0.1}
    settled = without_idle_values(tree, supplied, DEFAULTS)
    changed = {name for name in settled if settled[name] != tree[name]}
    assert changed == {"backbone_dropout", "head_init"}
    assert [settled[name] for name in sorted(changed)] == [0.0, "fan_in"]
    assert settled["smoothing"] == 0.1  # asked for, so it is refused
    with pytest.raises(ValueError, match=r"^smoothing: expected its default"):
        config_of(settled)


def test_the_recipe_of_a_network_without_dropout_is_that_of_its_grid():
    recipe = Recipe("paper", {"epochs": 3, "pretrained": False})
    for backbone in ("resnet18", "test_vit"):
        cell = Cell("cifar10@54000", backbone, "all", "csq", 16, 0)
        tree = flat(cell_config(cell, recipe))
        assert tree["backbone_dropout"] == (0.1 if backbone == "test_vit" else 0.0)
        assert recipe_of(tree, "paper") == recipe
    tree["backbone_dropout"] = 0.0
    assert recipe_of(tree, "paper").changed["backbone_dropout"] == 0.0


def test_a_command_may_switch_off_what_its_presets_values_depend_on():
    words = ["--optimizer.name", "adamw"]
    args = parser(First("adsh", "paper", "digits")).parse_args(words).as_dict()
    assert args["optimizer"]["momentum"] == 0.0
    assert completed(args, preset("paper", "adsh", "digits")).optimizer.momentum == OptimizerConfig().momentum == 0.9
    cells = [Cell("digits", "test_vit", "cls", "adsh", 16, 0)]
    assert _changes("paper", cells, words) == {"optimizer.name": "adamw"}
