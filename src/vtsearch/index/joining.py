"""Settings of several indexes that answer as one."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError
from vtsearch.index.fingerprints import refuse_mixing
from vtsearch.index.metadata import joined_types

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vtsearch.index.about import About
    from vtsearch.index.labels import LabelForm
    from vtsearch.index.metadata import Type


def joined_about(abouts: Mapping[Path, About]) -> About:
    """The settings of all items of some indexes, by folder: those of the first, with the labels and columns of all.

    Raises:
        VtsearchError: other bits, fingerprints, classes, labels or types of columns than in the first; names both.
    """
    (first, about), *others = abouts.items()
    return functools.reduce(lambda before, other: _joined(first, before, *other), others, about)


def _joined(first: Path, before: About, folder: Path, other: About) -> About:
    for name in ("bits", "bit_order", "threshold"):
        ours, theirs = getattr(before, name), getattr(other, name)
        if ours != theirs:
            raise VtsearchError(f"{name}: expected {ours} in {folder}, as in {first}, got {theirs}")
    refuse_mixing(first, before.fingerprints, other.fingerprints, str(folder))
    shared = min(len(before.classes), len(other.classes))
    if before.classes[:shared] != other.classes[:shared]:
        raise VtsearchError(f"classes: expected those of {first} in {folder}, got others")
    return replace(
        before,
        classes=max(before.classes, other.classes, key=len),
        labels=_labels(first, before, folder, other),
        columns=_columns(first, before, folder, other),
        indexed=tuple(sorted({*before.indexed, *other.indexed})),
        added=before.added + other.added,
    )


def _labels(first: Path, before: About, folder: Path, other: About) -> LabelForm:
    """The form of the labels of both; an index to which nothing was added has none yet."""
    if before.added and other.added and before.labels != other.labels:
        raise VtsearchError(f"labels: expected {before.labels} in {folder}, as in {first}, got {other.labels}")
    return before.labels if before.added else other.labels


def _columns(first: Path, before: About, folder: Path, other: About) -> dict[str, Type]:
    for name in before.columns.keys() & other.columns.keys():
        ours, theirs = before.columns[name], other.columns[name]
        if ours != theirs:
            raise VtsearchError(f"metadata: expected {name} {ours} in {folder}, as in {first}, got {theirs}")
    try:
        return joined_types(before.columns, other.columns)
    except ValueError as error:
        raise VtsearchError(f"{folder}, beside {first}: {error}") from error
