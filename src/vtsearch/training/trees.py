"""Configurations as trees of names and values, as in config.yaml, with dotted names such as ``optimizer.lr``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def look_up(tree: Any, dotted: str) -> Any:
    """The value with that dotted name in a tree, None where there is none."""
    for name in dotted.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def with_value(tree: Mapping[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """A tree with another value at a dotted name."""
    name, _, rest = dotted.partition(".")
    return {**tree, name: with_value(tree[name], rest, value) if rest else value}


def differing_keys(mine: dict[str, Any], other: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the values that two flat trees do not share, in the order of `mine`, absent ones included."""
    names = []
    for name in dict.fromkeys([*mine, *other]):
        a, b = mine.get(name), other.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            names += differing_keys(a, b, f"{prefix}{name}.")
        elif a != b:
            names.append(prefix + name)
    return names
