"""Values of a configuration that do nothing beside another value: a configuration with one of them is refused."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtsearch.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Idle:
    """When a field does nothing."""

    field: str
    """Its dotted name."""
    when: Callable[[TrainConfig], bool]
    because: str
    """The value of another field that makes it so."""


IDLE = (
    Idle("patience", lambda c: not c.evaluate_every, "evaluate_every is 0"),
    Idle(
        "patience",
        lambda c: (c.patience + 1) * c.evaluate_every >= c.epochs,
        "epochs and evaluate_every leave no more evaluations",
    ),
)
"""Fields that do nothing beside certain values of others."""


def idle_values(config: TrainConfig) -> dict[str, str]:
    """Dotted name -> reason of each value that is not its field's default and does nothing."""
    found = {each.field: each.because for each in reversed(IDLE) if each.when(config)}
    return {name: because for name, because in found.items() if value_of(config, name) != default_of(config, name)}


def refuse_idle_values(config: TrainConfig) -> None:
    """Refuse a configuration with a value that does nothing.

    Raises:
        ValueError: names the field, its default and the reason.
    """
    for name, because in idle_values(config).items():
        default, value = default_of(config, name), value_of(config, name)
        raise ValueError(f"{name}: expected {default!r}, because {because}, got {value!r}")


def value_of(config: TrainConfig, dotted: str) -> Any:
    """The value of a field with that dotted name."""
    owner, _, name = dotted.rpartition(".")
    return getattr(getattr(config, owner) if owner else config, name)


def default_of(config: TrainConfig, dotted: str) -> Any:
    """The default of a field with that dotted name."""
    owner, _, name = dotted.rpartition(".")
    part = getattr(config, owner) if owner else config
    return next(field.default for field in dataclasses.fields(part) if field.name == name)
