"""The published numbers, included in the package, and the paper's names of backbones and frameworks.

Source: Dubey et al., "Vision Transformer Hashing for Image Retrieval", ICME 2022, tables 1, 2 and 3: mAP in percent.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

TABLES = (1, 2, 3)
BACKBONES = {"AlexNet": "alexnet", "ResNet": "resnet50", "VTS32": "vts32", "VTS16": "vts16"}
"""The paper's name -> ours."""
CONVOLUTIONAL = frozenset({"alexnet", "resnet50"})
"""Backbones without a choice of tokens; the paper lists them once."""
FRAMEWORKS = {name: name.lower() for name in ("DSH", "HashNet", "GreedyHash", "IDHN", "CSQ", "DPN")}
"""The paper's name -> ours."""
OUR_METHOD = "VTS16-CSQ"
"""The paper's own system in table 2."""


@dataclass(frozen=True)
class Published:
    """One number of table 1 or 3, under our names."""

    table: int
    protocol: str
    backbone: str
    features: str
    framework: str
    bits: int
    percent: float


@dataclass(frozen=True)
class Earlier:
    """One number of table 2, under the paper's name of the method."""

    protocol: str
    method: str
    bits: int
    percent: float


@cache
def published_rows(table: int) -> tuple[Published, ...]:
    """Every number of table 1 or 3; of table 2 those of the paper's own system.

    Raises:
        ValueError: another table.
    """
    if table not in TABLES:
        raise ValueError(f"table: expected one of 1, 2, 3, got {table!r}")
    if table == 2:
        ours = [row for row in _earlier() if row.method == OUR_METHOD]
        return tuple(Published(2, row.protocol, "vts16", "all", "csq", row.bits, row.percent) for row in ours)
    return tuple(
        Published(
            table,
            row["protocol"],
            BACKBONES[row["backbone"]],
            row.get("features", "all"),
            FRAMEWORKS[row["framework"]],
            int(row["bits"]),
            float(row["map_percent"]),
        )
        for row in _read(f"table{table}.csv")
    )


def published_map(protocol: str, backbone: str, features: str, framework: str, bits: int) -> float | None:
    """The published mAP in percent, or None for a cell that is not in the paper.

    Example:
        >>> published_map("cifar10@54000", "vts16", "all", "csq", 64)
        97.6
    """
    return _by_cell().get((protocol, backbone, features, framework, bits))


def earlier_methods(protocol: str) -> tuple[Earlier, ...]:
    """The rows of table 2 for a protocol, without the paper's own system."""
    return tuple(row for row in _earlier() if row.protocol == protocol and row.method != OUR_METHOD)


def backbone_title(name: str) -> str:
    """The paper's name of a backbone; our name for backbones that are not in the paper."""
    return {ours: theirs for theirs, ours in BACKBONES.items()}.get(name, name)


@cache
def _by_cell() -> dict[tuple[str, str, str, str, int], float]:
    rows = [row for table in TABLES for row in published_rows(table)]
    return {(row.protocol, row.backbone, row.features, row.framework, row.bits): row.percent for row in rows}


@cache
def _earlier() -> tuple[Earlier, ...]:
    return tuple(
        Earlier(row["protocol"], row["method"], int(row["bits"]), float(row["map_percent"]))
        for row in _read("table2.csv")
    )


def _read(name: str) -> list[dict[str, str]]:
    text = (files("vtsearch.reproduction") / "paper" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
