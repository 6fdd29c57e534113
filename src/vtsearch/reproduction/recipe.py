"""The training recipe of a grid: a preset and its changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vtsearch.models.backbones import SHORT_NAMES
from vtsearch.reproduction.grid import Cell
from vtsearch.reproduction.published import CONVOLUTIONAL
from vtsearch.training.config import DEFAULTS, FREE_ON_RESUME, TrainConfig, flat
from vtsearch.training.effects import head_of, idle_values
from vtsearch.training.presets import completed, preset
from vtsearch.training.trees import differing_keys, look_up, with_value

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADS = {"all": "published", "cls": "cls"}
"""Input of the head -> its name; "published" is all tokens of a Vision Transformer, the pooled features of others."""

OF_A_CELL = frozenset({"protocol", "backbone", "head", "framework", "bits", "seed"})
"""Keys set by the cell; a recipe may not change them."""
WITHOUT_EFFECT = FREE_ON_RESUME | {"baselines"}
"""Keys without effect on the numbers, omitted from the recipe in reports."""


@dataclass(frozen=True)
class Recipe:
    """The training recipe of every cell."""

    preset: str = "paper"
    changed: Mapping[str, Any] = field(default_factory=dict)
    """Dotted name -> value, for each difference from the preset."""

    def __str__(self) -> str:
        """The recipe in one line, for reports.

        Example:
            >>> str(Recipe("paper", {"epochs": 3, "pretrained": False}))
            'recipe: paper, changed: epochs 3, pretrained false'
        """
        changed = {name: self.changed[name] for name in sorted(self.changed) if name not in WITHOUT_EFFECT}
        changes = ", ".join(f"{name} {_word(value)}" for name, value in changed.items())
        return f"recipe: {self.preset}" + (f", changed: {changes}" if changes else "")


def cell_config(cell: Cell, recipe: Recipe, data: str | None = None) -> TrainConfig:
    """The complete training configuration of a cell.

    Raises:
        ValueError: an unknown preset or framework, a change of a key that the preset lacks, invalid values.
    """
    supplied = preset(recipe.preset, cell.framework, cell.protocol)
    tree = flat(supplied)
    for name, value in recipe.changed.items():
        if name in OF_A_CELL or not _has(tree, name):
            raise ValueError(f"changed: expected names of a recipe, got {name!r}")
        tree = with_value(tree, name, value)
    of_the_cell = {
        "protocol": cell.protocol,
        "backbone": cell.backbone,
        "head": HEADS[cell.features],
        "bits": cell.bits,
        "seed": cell.seed,
        "data": data,
    }
    return completed(tree | of_the_cell, supplied)


def cell_of(tree: Mapping[str, Any]) -> Cell:
    """The cell of a run, from its config.yaml."""
    short = {full: name for name, full in SHORT_NAMES.items()}
    backbone, head = short.get(tree["backbone"], tree["backbone"]), tree["head"]
    if head == "auto":
        head = head_of(tree)
    of_its_own = head == "cls" or (head == "pooled" and backbone not in CONVOLUTIONAL)
    features = head if of_its_own else "all"
    return Cell(tree["protocol"], backbone, features, tree["framework"], tree["bits"], tree["seed"])


def recipe_of(tree: Mapping[str, Any], name: str) -> Recipe:
    """The changes of a run's config.yaml to a preset; options added to the program later are ignored."""
    supplied = flat(preset(name, tree["framework"], tree["protocol"]))
    keys = [
        key
        for key in differing_keys(supplied, dict(tree))
        if key not in OF_A_CELL | {"data"} and _has(tree, key) and not _is_left_out(tree, key, supplied)
    ]
    return Recipe(name, {key: look_up(tree, key) for key in keys})


def _is_left_out(tree: Mapping[str, Any], key: str, supplied: Mapping[str, Any]) -> bool:
    """Whether a run has the default in place of a preset's value that would do nothing in it."""
    as_supplied = with_value({**supplied, **tree}, key, look_up(supplied, key))
    return bool(look_up(tree, key) == look_up(DEFAULTS, key)) and key in idle_values(as_supplied, DEFAULTS)


def _has(tree: Any, dotted: str) -> bool:
    *path, last = dotted.split(".")
    return last in (look_up(tree, ".".join(path)) or {}) if path else last in tree


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "default", True: "true", False: "false"}[value]
    return str(value)
