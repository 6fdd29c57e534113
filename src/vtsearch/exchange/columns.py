"""Columns of a table of items: their names, and checks that formats with named columns share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

ID, CODE, LABEL, LABELS = "id", "code", "label", "labels"
"""Columns of an export; ``label`` is an integer, ``labels`` a list of class ids."""

_CODE_NAMES = (CODE, "codes", "embedding")
"""Columns that hold codes where several could, the first of them that there is."""


def checked_columns(columns: Mapping[str, str], taken: Iterable[str]) -> dict[str, str]:
    """Columns of metadata with their types, none of which is named as a column of the export.

    Raises:
        ValueError: naming the column.
    """
    reserved = set(taken)
    for name in columns:
        if name.lower() in reserved:
            raise ValueError(f"metadata: expected columns named otherwise than {', '.join(taken)}, got {name!r}")
    return dict(columns)


def code_column(source: str, candidates: Sequence[str], columns: Sequence[str], asked: str | None) -> str:
    """The column of codes: the one asked for, one of a usual name, or the only one of a fitting type.

    Args:
        source: for errors.
        candidates: columns whose type fits.
        columns: all columns.
        asked: its name, if the caller gave one.

    Raises:
        ValueError: no such column, or several.
    """
    if asked is not None:
        if asked not in columns:
            raise ValueError(f"codes: expected a column of {source}, got {asked!r}{suggestion(asked, columns)}")
        return asked
    usual = [name for name in _CODE_NAMES if name in columns]
    if usual or len(candidates) == 1:
        return usual[0] if usual else candidates[0]
    found = ", ".join(candidates or columns) or "none"
    raise ValueError(f"codes: expected the name of the column of codes in {source}, which has {found}")


def unicode_ids(ids: Sequence[str]) -> Sequence[str]:
    """Ids that are Unicode text, as formats with text need them.

    Raises:
        ValueError: an id with bytes that are not UTF-8, such as a file's name can have.
    """
    for name in ids:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"ids: expected Unicode text, got {name!r}") from error
    return ids


def multi_labels(source: str, counts: NDArray[Any], values: NDArray[Any], classes: int) -> NDArray[np.uint8]:
    """uint8 0/1 (n, classes) of lists of class ids.

    Args:
        source: for errors.
        counts: (n,) length of each list.
        values: the lists, one after the other.
        classes: number of classes.

    Raises:
        ValueError: an id that is no class.
    """
    if len(values) and not 0 <= values.min() <= values.max() < classes:
        raise ValueError(
            f"{source}: expected class ids of 0 to {classes - 1} in column {LABELS!r}, "
            f"got {values.min()} to {values.max()}"
        )
    labels = np.zeros((len(counts), classes), dtype=np.uint8)
    labels[np.repeat(np.arange(len(counts)), counts), values] = 1
    return labels


def check_bits(source: str, bits: int, asked: int | None) -> None:
    """Refuse a code length that the source contradicts.

    Raises:
        ValueError: naming both.
    """
    if asked not in (None, bits):
        raise ValueError(f"bits: expected {bits} as in {source}, got {asked}")
