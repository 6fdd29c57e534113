from __future__ import annotations

from dataclasses import replace

import pytest

from vtsearch.reproduction import Axes, Cell, Recipe, axes_of, cell_config
from vtsearch.reproduction.recipe import cell_of, recipe_of
from vtsearch.training.run_folder import plain

CELL = Cell("digits", "vts32", "cls", "hashnet", 24, 3)
OURS = {"protocols": ["digits"], "frameworks": ["csq", "hashnet"]}


def test_the_axes_of_a_table_are_its_own():
    chosen = {"protocols": ["cifar10@54000"], "frameworks": ["csq"]}
    assert axes_of(1, **chosen).backbones == ("alexnet", "resnet50", "vts32", "vts16")
    assert axes_of(2, **chosen).backbones == ("vts16",)
    assert set(axes_of(3, **chosen).features) == {"all", "cls"}
    assert axes_of(3, **chosen).bits == (16, 32, 64)
    assert len(list(axes_of(3, seeds=range(2), **chosen).cells())) == 2 * 2 * 3 * 2


def test_all_cells_of_one_seed_come_before_the_next():
    cells = list(axes_of(seeds=[4, 9], bits=[16, 32], backbones=["vts16"], **OURS).cells())
    assert [cell.seed for cell in cells] == [4] * 4 + [9] * 4
    assert len({cell.name for cell in cells}) == 8


def test_a_convolutional_backbone_has_no_tokens_to_choose_from():
    cells = axes_of(features=["all", "cls"], backbones=["resnet50", "vts16"], bits=[16], **OURS).cells()
    seen = [(cell.backbone, cell.features) for cell in cells if cell.framework == "csq"]
    assert seen == [("resnet50", "all"), ("vts16", "all"), ("vts16", "cls")]


def test_names_of_runs_are_names_of_folders():
    name = Cell("cifar10@54000", "hf-hub:some/vit", "all", "csq", 16, 0).name
    assert name == "cifar10@54000_hf-hub-some-vit_all_csq_16bits_seed0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": ("digit",)}, r"protocols: expected some of .*, got 'digit' \(did you mean 'digits'\?\)"),
        ({"frameworks": ("csq", "cqs")}, "frameworks: expected some of .*csq.*, got 'cqs'"),
        ({"frameworks": ("my.py:Mine",)}, "got 'my.py:Mine' .vtsearch train takes a file of your own"),
        ({"features": ("both",)}, "features: expected some of all, cls, got 'both'"),
        ({"bits": ()}, "bits: expected different values, at least one, got none"),
        ({"bits": (16, 16)}, "bits: expected different values, at least one, got 16, 16"),
        ({"bits": (0,)}, "bits: expected at least 1, got 0"),
        ({"seeds": (-1,)}, "seeds: expected at least 0, got -1"),
    ],
)
def test_axes_that_no_cell_has_are_refused(changes, message):
    axes = axes_of(bits=[16], **OURS)
    with pytest.raises(ValueError, match=message):
        replace(axes, **changes)


def test_axes_survive_a_file():
    axes = axes_of(3, seeds=[1, 2], **OURS)
    assert Axes.from_dict(axes.to_dict()) == axes
    with pytest.raises(TypeError):
        Axes.from_dict(axes.to_dict() | {"epochs": [1]})


def test_a_cell_is_trained_as_its_place_says():
    config = cell_config(CELL, Recipe("paper", {"epochs": 3, "optimizer.lr": 1e-3, "options.continuation": 7}), "here")
    assert (config.protocol, config.framework, config.seed, config.data) == ("digits", "hashnet", 3, "here")
    assert (config.model.backbone, config.model.head, config.model.bits) == (
        "vts32",
        "cls",
        24,
    )
    assert (config.epochs, config.optimizer.lr, config.options.continuation) == (3, 1e-3, 7)
    assert (config.optimizer.name, config.model.preprocessing) == ("adam", "published")


def test_a_run_tells_its_cell_and_what_was_changed():
    recipe = Recipe("paper", {"epochs": 3, "optimizer.lr": 1e-3})
    tree = plain(cell_config(CELL, recipe, "here"))
    assert cell_of(tree) == CELL
    assert str(recipe_of(tree, "paper")) == str(recipe) == "recipe: paper, changed: epochs 3, optimizer.lr 0.001"
    assert str(recipe_of(plain(cell_config(CELL, Recipe())), "paper")) == "recipe: paper"
    assert "epochs 150" in str(recipe_of(plain(cell_config(CELL, Recipe())), "modern"))


def test_a_run_is_known_by_the_full_name_of_its_backbone_too():
    tree = plain(cell_config(CELL, Recipe()))
    assert cell_of(tree | {"backbone": "vit_base_patch32_224.orig_in21k"}) == CELL
    assert cell_of(tree | {"head": "tokens"}).features == "all"
    assert cell_of(tree | {"head": "pooled"}).features == "pooled"
    assert cell_of(tree | {"backbone": "resnet50", "head": "pooled"}).features == "all"


def test_a_run_that_is_older_than_an_option_has_not_changed_it():
    tree = plain(cell_config(CELL, Recipe()))
    del tree["optimizer"]["clip"], tree["epochs"]
    del tree["options"]["continuation"]
    assert str(recipe_of(tree, "paper")) == "recipe: paper"


def test_what_changes_no_number_is_kept_and_not_told():
    recipe = Recipe("paper", {"workers": 2, "baselines": False})
    assert cell_config(CELL, recipe).workers == 2
    assert str(recipe) == "recipe: paper"


@pytest.mark.parametrize("name", ["epoch", "optimizer.rate", "optimiser.lr", "bits"])
def test_a_change_that_no_recipe_has_is_refused(name):
    with pytest.raises(ValueError, match=f"changed: expected names of a recipe, got '{name}'"):
        cell_config(CELL, Recipe("paper", {name: 1}))


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset: expected one of modern, paper, transhash, got 'best'"):
        cell_config(CELL, Recipe("best"))
