"""Codes and labels of queries and database, from index folders or .npy files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch.codes import pack
from vtsearch.errors import VtsearchError
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Side:
    """Queries or database."""

    codes: NDArray[np.uint8]
    labels: NDArray[np.generic]
    bits: int
    index: Index | None = None
    """Where the codes come from, if not from arrays."""


class Sides(NamedTuple):
    """Queries and database of one model."""

    queries: Side
    database: Side


def open_side(name: str, word: str, labels_name: str, labels: str | None) -> Side:
    """An index with labels, or .npy files of codes (or features) and of labels."""
    if Path(word).suffix == ".npy":
        if labels is None:
            raise ValueError(f"{labels_name}: expected a .npy file of labels beside {word}, got nothing")
        codes, bits = _codes(name, load_array(word))
        truth = load_array(labels)
        if len(truth) != len(codes):
            raise ValueError(f"{labels_name}: expected {len(codes)} rows as in {word}, got {len(truth)}")
        return Side(codes, truth, bits)
    if labels is not None:
        raise ValueError(f"{labels_name}: expected no labels beside an index, which has its own, got {labels}")
    index = Index.open(word)
    found = index.labels()
    if found is None:
        raise ValueError(f"{name}: expected an index with labels, got {word}, which has none")
    return Side(index.codes(), found, index.bits, index)


def open_others(words: Sequence[str], sides: Sides) -> Sides:
    """Other codes of the same queries and items, with the labels of the first."""
    others = Sides(*(_open_other(word, side) for word, side in zip(words, sides, strict=True)))
    refuse_mixing(others)
    return others


def refuse_mixing(sides: Sides) -> None:
    """Raise if queries and database are codes of different lengths or of different models."""
    queries, database = sides
    if queries.bits != database.bits:
        raise VtsearchError(f"bits: expected one length of codes, got {queries.bits} (queries) and {database.bits}")
    if queries.index is not None and database.index is not None:
        database.index.check_fingerprints(queries.index.fingerprints, whose=str(queries.index.path))


def given_ids(index: Index) -> list[str] | None:
    """The ids of an index, or None if they are the positions: names that nobody gave say nothing."""
    ids = index.ids()
    return None if ids == [str(position) for position in range(len(ids))] else ids


def load_array(path: str) -> NDArray[Any]:
    """A .npy file of at least one axis, mapped.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: another kind of file, or a truncated one.
    """
    with Path(path).open("rb") as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise VtsearchError(f"{path}: expected a .npy file, got something else")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise VtsearchError(f"{path}: expected a whole .npy file of numbers, got a damaged one ({error})") from error
    if array.ndim == 0:
        raise VtsearchError(f"{path}: expected a row per item, got a single number")
    return array


def _codes(name: str, array: NDArray[Any]) -> tuple[NDArray[np.uint8], int]:
    if array.ndim != 2:
        raise ValueError(f"{name}: expected (n, bytes) codes or (n, bits) features, got {array.shape}")
    if array.dtype == np.uint8:
        return array, 8 * array.shape[1]
    if array.dtype.kind != "f":
        raise TypeError(f"{name}: expected uint8 codes or features that are floats, got {array.dtype}")
    if np.isnan(array).any():
        raise ValueError(f"{name}: expected features without NaN, got NaN")
    return pack(array), array.shape[1]


def _open_other(word: str, side: Side) -> Side:
    if Path(word).suffix == ".npy":
        codes, bits = _codes("against", load_array(word))
        other = Side(codes, side.labels, bits)
    else:
        index = Index.open(word)
        other = Side(index.codes(), side.labels, index.bits, index)
    if len(other.codes) != len(side.codes):
        raise ValueError(
            f"against: expected other codes of the same {len(side.codes):,} items, got {len(other.codes):,}"
        )
    if other.index is not None:
        _check_items(other.index, side)
    return other


def _check_items(other: Index, side: Side) -> None:
    """Raise if ids or labels tell that these are not the same items in the same order."""
    if side.index is not None:
        ids, other_ids = given_ids(side.index), given_ids(other)
        if ids is not None and other_ids is not None and ids != other_ids:
            place = next(i for i, pair in enumerate(zip(ids, other_ids, strict=True)) if pair[0] != pair[1])
            raise VtsearchError(
                f"against: expected the items of {side.index.path} in the same order, "
                f"got {other_ids[place]!r} for {ids[place]!r} (item {place} of {other.path})"
            )
    labels = other.labels()
    if labels is not None and not np.array_equal(labels, side.labels):
        raise VtsearchError(f"against: expected the same items in the same order, got other labels in {other.path}")
