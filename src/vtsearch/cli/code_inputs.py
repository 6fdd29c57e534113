"""Codes and labels of queries and database, from index folders or .npy files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch._database import Database
from vtsearch._validate import whole_number
from vtsearch.codes import pack, prefix
from vtsearch.errors import VtsearchError
from vtsearch.exchange import npy
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelledCodes:
    """Codes of queries or of a database, with their labels."""

    database: Database
    labels: NDArray[np.generic]
    bits: int
    index: Index | None = None
    """The index of the codes, unless they come from arrays."""

    def array(self) -> NDArray[np.uint8]:
        """(n, bytes) uint8 in one array, as queries are; several segments are joined."""
        parts = self.database.parts
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def prefixes(self, bits: int) -> LabelledCodes:
        """The first bits of the codes."""
        parts = [prefix(part, whole_number("bits", bits, 1, self.bits)) for part in self.database.parts]
        return replace(self, database=Database(parts), bits=bits)


@dataclass(frozen=True)
class OpenedCodes:
    """Codes whose labels do not matter."""

    database: Database
    bits: int
    index: Index | None
    """The index of the codes, unless they come from an array."""

    def names(self, positions: Sequence[int]) -> dict[int, str]:
        """Position -> id of some items; of an array, the position in words."""
        if self.index is None:
            return {position: str(position) for position in positions}
        return self.index.ids_at(positions)


class CodePair(NamedTuple):
    """Queries and database of one model."""

    queries: LabelledCodes
    database: LabelledCodes

    def prefixes(self, bits: int | None) -> CodePair:
        """The same with the first bits of all codes; None for whole codes."""
        return self if bits is None else CodePair(*(side.prefixes(bits) for side in self))

    def masked(self, mask: NDArray[np.bool_] | None) -> CodePair:
        """The same with a database in which queries find only the items that a mask allows."""
        parts = self.database.database.parts
        return self._replace(database=replace(self.database, database=Database(parts, mask=mask)))


def matching(database: LabelledCodes, where: str) -> NDArray[np.bool_]:
    """The items of a database that a condition holds for, as a mask.

    Raises:
        ValueError: a database that is no index; a condition that SQLite does not take.
    """
    if database.index is None:
        raise ValueError("where: expected a database that is an index, got an array")
    return database.index.where(where)


def open_codes(name: str, path: str, labels_name: str, labels: str | None) -> LabelledCodes:
    """An index with labels, or .npy files of codes (or features) and of labels."""
    if Path(path).suffix == ".npy":
        if labels is None:
            raise ValueError(f"{labels_name}: expected a .npy file of labels beside {path}, got nothing")
        codes, bits = _codes(name, load_array(path))
        truth = load_array(labels)
        if len(truth) != len(codes):
            raise ValueError(f"{labels_name}: expected {len(codes)} rows as in {path}, got {len(truth)}")
        return LabelledCodes(Database(codes), truth, bits)
    if labels is not None:
        raise ValueError(f"{labels_name}: expected no labels beside an index, which has its own, got {labels}")
    index = Index.open(path)
    found = index.labels()
    if found is None:
        raise ValueError(f"{name}: expected an index with labels, got {path}, which has none")
    return LabelledCodes(index.database(), found, index.bits, index)


def open_without_labels(name: str, path: str) -> OpenedCodes:
    """An index, or a .npy file of codes (or features)."""
    if Path(path).suffix == ".npy":
        codes, bits = _codes(name, load_array(path))
        return OpenedCodes(Database(codes), bits, None)
    index = Index.open(path)
    return OpenedCodes(index.database(), index.bits, index)


def open_old(path: str, new: Index) -> OpenedCodes:
    """Old items of the model that made an index of new ones."""
    old = open_without_labels("against", path)
    if old.index is not None:
        if old.bits != new.bits:
            raise VtsearchError(f"against: expected codes of {new.bits} bits as in {new.path}, got {old.bits} bits")
        old.index.check_fingerprints(new.fingerprints, whose=str(new.path))
    return old


def open_others(paths: Sequence[str], pair: CodePair) -> CodePair:
    """Other codes of the same queries and items, with the labels of the first."""
    others = CodePair(*(_open_other(path, side) for path, side in zip(paths, pair, strict=True)))
    refuse_mixing(others)
    return others


def refuse_mixing(pair: CodePair) -> None:
    """Raise if queries and database are codes of different lengths or of different models."""
    queries, database = pair
    if queries.bits != database.bits:
        raise VtsearchError(f"bits: expected one length of codes, got {queries.bits} (queries) and {database.bits}")
    if queries.index is not None and database.index is not None:
        database.index.check_fingerprints(queries.index.fingerprints, whose=str(queries.index.path))


def excluded_positions(pair: CodePair, exclude: str | None) -> NDArray[np.int64] | None:
    """(q,) position in the database of each query, -1 for one that is not there: by position, or by id.

    Raises:
        ValueError: codes without ids of their own; other numbers of queries and items.
    """
    if exclude is None:
        return None
    queries, database = pair
    if exclude == "self":
        if len(queries.database) != len(database.database):
            raise ValueError(
                f"exclude: expected as many queries as items for self, got {len(queries.database):,} queries and "
                f"{len(database.database):,} items"
            )
        return np.arange(len(database.database))
    found = shared_positions(pair)
    if found is None:
        raise ValueError("exclude: expected two indexes with ids of their own for ids, got codes without")
    return found


def shared_positions(pair: CodePair) -> NDArray[np.int64] | None:
    """(q,) position in the database of each query's id, -1 for none; None if either side has no ids of its own."""
    queries, database = (side.index for side in pair)
    asked = None if queries is None else given_ids(queries)
    if asked is None or database is None or given_ids(database) is None:
        return None
    return database.positions_of(asked)


def given_ids(index: Index) -> list[str] | None:
    """The ids of an index, or None if they are the default ones, the positions."""
    ids = index.ids()
    return None if ids == [str(position) for position in range(len(ids))] else ids


def load_array(path: str) -> NDArray[Any]:
    """A .npy file of at least one axis, mapped.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: another kind of file, or a truncated one.
    """
    array = npy.load_array(path)
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


def _open_other(path: str, side: LabelledCodes) -> LabelledCodes:
    opened = open_without_labels("against", path)
    other = LabelledCodes(opened.database, side.labels, opened.bits, opened.index)
    if len(other.database) != len(side.database):
        raise ValueError(
            f"against: expected other codes of the same {len(side.database):,} items, got {len(other.database):,}"
        )
    if other.index is not None:
        _check_items(other.index, side)
    return other


def _check_items(other: Index, side: LabelledCodes) -> None:
    """Raise if ids or labels show other items or another order."""
    if side.index is not None:
        ids, other_ids = given_ids(side.index), given_ids(other)
        if ids is not None and other_ids is not None and ids != other_ids:
            differing = next(i for i, pair in enumerate(zip(ids, other_ids, strict=True)) if pair[0] != pair[1])
            raise VtsearchError(
                f"against: expected the items of {side.index.path} in the same order, "
                f"got {other_ids[differing]!r} for {ids[differing]!r} (item {differing} of {other.path})"
            )
    labels = other.labels()
    if labels is not None and not np.array_equal(labels, side.labels):
        raise VtsearchError(f"against: expected the same items in the same order, got other labels in {other.path}")
