"""The cells of a grid, one run each, as the product of its axes."""

from __future__ import annotations

import itertools
import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from vtsearch.data import PROTOCOLS
from vtsearch.errors import suggestion
from vtsearch.frameworks import FRAMEWORKS, own
from vtsearch.reproduction.published import CONVOLUTIONAL, published_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FEATURES = ("all", "cls")
"""Input of the head: all tokens, or the class token only."""


@dataclass(frozen=True, order=True)
class Cell:
    """One run of a grid."""

    protocol: str
    backbone: str
    features: str
    framework: str
    bits: int
    seed: int

    @property
    def name(self) -> str:
        """The name of the run folder.

        Example:
            >>> Cell("cifar10@54000", "vts32", "all", "csq", 16, 0).name
            'cifar10@54000_vts32_all_csq_16bits_seed0'
        """
        parts = (self.protocol, self.backbone, self.features, self.framework, f"{self.bits}bits", f"seed{self.seed}")
        return re.sub(r"[^\w@.+-]", "-", "_".join(parts))


@dataclass(frozen=True)
class Axes:
    """The axes of a grid, combined as a product; a published table is one choice of them."""

    protocols: tuple[str, ...]
    backbones: tuple[str, ...]
    features: tuple[str, ...]
    frameworks: tuple[str, ...]
    bits: tuple[int, ...]
    seeds: tuple[int, ...]
    table: int | None = None

    def __post_init__(self) -> None:
        """Refuse invalid values.

        Raises:
            ValueError: an empty axis, a repeated value, an unknown name, or a number below the minimum.
        """
        for name in AXES:
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name}: expected different values, at least one, got {_listed(values)}")
        for name, known in (("protocols", PROTOCOLS), ("features", FEATURES), ("frameworks", FRAMEWORKS)):
            _check_known(name, getattr(self, name), known)
        for name, least in (("bits", 1), ("seeds", 0)):
            if min(getattr(self, name)) < least:
                raise ValueError(f"{name}: expected at least {least}, got {min(getattr(self, name))}")

    def cells(self) -> Iterator[Cell]:
        """Every run, seed by seed, so that the first seed completes a whole table.

        A convolutional backbone has no choice of tokens, so only cells with "all".
        """
        values = itertools.product(
            self.seeds, self.protocols, self.backbones, self.features, self.frameworks, self.bits
        )
        found: dict[Cell, None] = {}
        for seed, protocol, backbone, features, framework, bits in values:
            seen = "all" if backbone in CONVOLUTIONAL else features
            found[Cell(protocol, backbone, seen, framework, bits, seed)] = None
        return iter(found)

    def to_dict(self) -> dict[str, Any]:
        """The axes as lists and numbers, for grid.yaml."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Axes:
        """The reverse of ``to_dict``.

        Raises:
            TypeError: a missing or unknown name.
            ValueError: as for the constructor.
        """
        parts: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**parts)


AXES = tuple(field.name for field in fields(Axes) if field.name != "table")


def axes_of(table: int | None = None, seeds: Iterable[int] = (0,), **chosen: Iterable[Any] | None) -> Axes:
    """The axes of a published table, some of them replaced.

    Args:
        table: 1, 2 or 3; None means table 1 for the axes that are not chosen.
        seeds: of the runs of each cell.
        chosen: other axes by name; None keeps the table's.

    Raises:
        ValueError: an unknown table, or invalid axes.
    """
    rows = published_rows(1 if table is None else table)
    names = {
        "protocols": "protocol",
        "backbones": "backbone",
        "features": "features",
        "frameworks": "framework",
        "bits": "bits",
    }
    values: dict[str, Any] = {
        axis: tuple(dict.fromkeys(getattr(row, name) for row in rows)) for axis, name in names.items()
    }
    values |= {axis: tuple(value) for axis, value in chosen.items() if value is not None}
    return Axes(**values, seeds=tuple(seeds), table=table)


def _check_known(axis: str, values: Iterable[str], known: Iterable[str]) -> None:
    unknown = [value for value in values if value not in known]
    if unknown:
        hint = suggestion(str(unknown[0]), known)
        if axis == "frameworks" and own.is_file(str(unknown[0])):
            hint = " (vtsearch train takes a file of your own)"
        raise ValueError(f"{axis}: expected some of {', '.join(known)}, got {_listed(unknown)}{hint}")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(repr(value) for value in values) or "none"
