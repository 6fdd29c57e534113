"""Values of a configuration that do nothing beside another value: a configuration with one of them is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vtsearch.models.backbones import architecture, gives_tokens, has_stochastic_depth, on_meta_device
from vtsearch.models.hash_model import suitable_head
from vtsearch.training.trees import look_up, with_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Tree = dict[str, Any]


@dataclass(frozen=True)
class Idle:
    """When a field does nothing."""

    field: str
    """Its dotted name."""
    when: Callable[[Tree], bool]
    """Whether it does nothing in a configuration, as `config.flat` gives it."""
    where: str
    """The value of another field that makes it so."""


def head_of(tree: Mapping[str, Any]) -> str:
    """The name of a configuration's head, or what "auto" or "published" stands for with its backbone."""
    if tree["head"] not in ("auto", "published"):
        return str(tree["head"])
    started = {name: tree[name] for name in ("pretrained", "weights")}
    return suitable_head(tree["head"], on_meta_device(tree["backbone"]), **started)


def _starts_alike(tree: Tree) -> bool:
    """Whether its head starts in the same way with both values of `head_init`."""
    return head_of(tree) == "pooled" and architecture(tree["backbone"]) != "alexnet"


IDLE = (
    Idle("optimizer.momentum", lambda tree: tree["optimizer"]["name"] != "sgd", "optimizer.name is not sgd"),
    Idle("schedule.warmup", lambda tree: tree["schedule"]["name"] == "constant", "schedule.name is constant"),
    Idle("teaching", lambda tree: not tree["nested"], "nested is empty"),
    Idle("smoothing", lambda tree: not tree["classification"], "classification is 0"),
    Idle("validation", lambda tree: not tree["evaluate_every"], "evaluate_every is 0"),
    Idle("patience", lambda tree: not tree["evaluate_every"], "evaluate_every is 0"),
    Idle(
        "patience",
        lambda tree: (tree["patience"] + 1) * tree["evaluate_every"] >= tree["epochs"],
        "evaluate_every and epochs leave no more evaluations",
    ),
    Idle("cache_gib", lambda tree: tree["images"] == "loader", "images is loader"),
    Idle("dropout", lambda tree: head_of(tree) != "tokens", "head is not tokens"),
    Idle("hidden", lambda tree: head_of(tree) != "tokens", "head is not tokens"),
    Idle("groups", lambda tree: tree["head"] != "dual", "head is not dual"),
    Idle("head_init", _starts_alike, "head is pooled"),
    Idle(
        "backbone_dropout",
        lambda tree: not gives_tokens(on_meta_device(tree["backbone"])),
        "backbone is no Vision Transformer",
    ),
    Idle(
        "drop_path",
        lambda tree: not has_stochastic_depth(tree["backbone"]),
        "backbone has no blocks to leave out",
    ),
)
"""Fields that do nothing beside certain values of others."""


def idle_values(tree: Tree, defaults: Tree) -> dict[str, str]:
    """Dotted name -> where it does nothing, for each value that is not the default and does nothing.

    Args:
        tree: a configuration, as `config.flat` gives it.
        defaults: the default of each field, in the same form.
    """
    found: dict[str, str] = {}
    for each in IDLE:
        # the default first: what a backbone can do takes a while to find out
        if look_up(tree, each.field) != look_up(defaults, each.field) and each.field not in found and each.when(tree):
            found[each.field] = each.where
    return found


def refuse_idle_values(tree: Tree, defaults: Tree) -> None:
    """Refuse a configuration with a value that does nothing.

    Raises:
        ValueError: such a value, with the other field; an unknown backbone.
    """
    for name, where in idle_values(tree, defaults).items():
        raise ValueError(
            f"{name}: expected its default {look_up(defaults, name)!r} where {where}, got {look_up(tree, name)!r}, "
            "which would do nothing"
        )


def without_idle_values(tree: Tree, preset: Mapping[str, Any], defaults: Tree) -> Tree:
    """The tree, with the default for each value that a preset supplies and other values make useless."""
    for name in idle_values(tree, defaults):
        if look_up(tree, name) == look_up(preset, name):
            tree = with_value(tree, name, look_up(defaults, name))
    return tree
