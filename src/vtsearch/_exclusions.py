"""Validate positions that single queries exclude: leave-one-out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch._masks import Mask
from vtsearch._validate import as_array

Exclude = ArrayLike | Sequence[ArrayLike] | Literal["self"]

_FORMS = "'self', positions (q,) with -1 for none, or a sequence of q arrays of positions"


@dataclass(frozen=True)
class Excluded:
    """Query q excludes ``items[offsets[q]:offsets[q + 1]]``, ascending and without repetition."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int64]

    @classmethod
    def of_pairs(cls, owners: NDArray[np.int64], items: NDArray[np.int64], queries: int) -> Excluded:
        """Of queries in ascending order and an item of each."""
        return cls(np.searchsorted(owners, np.arange(queries + 1)), items)

    def rows(self, start: int, stop: int) -> Excluded:
        """Queries start .. stop - 1."""
        offsets = self.offsets[start : stop + 1]
        return Excluded(offsets - offsets[0], self.items[offsets[0] : offsets[-1]])

    def between(self, first: int, stop: int) -> Excluded:
        """Those of items first .. stop - 1, numbered from 0."""
        here = (self.items >= first) & (self.items < stop)
        return Excluded.of_pairs(self.owners[here], self.items[here] - first, len(self.offsets) - 1)

    def counts(self) -> NDArray[np.int64]:
        """(q,) number of items that each query excludes."""
        return np.diff(self.offsets)

    @functools.cached_property
    def owners(self) -> NDArray[np.int64]:
        """The query of each of ``items``."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts())

    def most(self) -> int:
        """The largest number of items that one query excludes."""
        return int(self.counts().max(initial=0))

    def columns(self) -> list[NDArray[np.int64]]:
        """Arrays (q,): the first excluded item of each query, the second, ...; -1 for none."""
        table = np.full((len(self.offsets) - 1, self.most()), -1, dtype=np.int64)
        table[self.owners, np.arange(len(self.items)) - self.offsets[self.owners]] = self.items
        return list(table.T)

    def among(self, mask: Mask | None) -> Excluded:
        """Those items that a mask allows."""
        if mask is None:
            return self
        kept = mask.allows(self.items)
        return Excluded.of_pairs(self.owners[kept], self.items[kept], len(self.offsets) - 1)


def checked_exclude(exclude: Exclude, queries: int, n: int) -> Excluded:
    """Positions in a database of n items, for each query.

    Raises:
        TypeError: positions that are not integers.
        ValueError: another number of rows than queries; positions outside the database; another word than "self".
    """
    if isinstance(exclude, str):
        return _themselves(exclude, queries, n)
    owners, items = _pairs(exclude, queries)
    wrong = (items < -1) | (items >= n)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"exclude: expected positions from 0 to {n - 1}, or -1 for none, got {items[first]} (query {owners[first]})"
        )
    some = items >= 0
    pairs = np.unique(owners[some] * max(n, 1) + items[some])
    return Excluded.of_pairs(pairs // max(n, 1), pairs % max(n, 1), queries)


def _themselves(word: str, queries: int, n: int) -> Excluded:
    if word != "self":
        raise ValueError(f"exclude: expected {_FORMS}, got {word!r}")
    if queries != n:
        raise ValueError(
            f"exclude: expected as many queries as database codes for 'self', got {queries} queries and {n} codes; "
            "give the position of each query, or -1"
        )
    return Excluded(np.arange(n + 1), np.arange(n))


def _pairs(exclude: Any, queries: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Queries in ascending order and the positions that they exclude, -1 included."""
    table = _table(exclude)
    rows = [as_array("exclude", row) for row in exclude] if table is None else table
    if len(rows) != queries:
        raise ValueError(f"exclude: expected {queries} rows, one for each of query_codes, got {len(rows)}")
    if table is not None:
        return np.repeat(np.arange(queries), table.shape[1]), _positions(table.reshape(-1))
    lists = [_positions(np.atleast_1d(row)) for row in rows]
    owners = np.repeat(np.arange(queries), [len(row) for row in lists])
    return owners, np.concatenate([np.empty(0, dtype=np.int64), *lists])


def _table(exclude: Any) -> NDArray[Any] | None:
    """The positions of all queries as (q, positions of each); None for a sequence of arrays."""
    if isinstance(exclude, Sequence) and any(as_array("exclude", row).ndim for row in exclude):
        return None
    array = as_array("exclude", exclude)
    if array.ndim not in (1, 2):
        raise ValueError(f"exclude: expected {_FORMS}, got {array.shape}")
    return array.reshape(len(array), -1 if array.size else 0)


def _positions(row: NDArray[Any]) -> NDArray[np.int64]:
    if row.ndim != 1:
        raise ValueError(f"exclude: expected {_FORMS}, got an array {row.shape} for one query")
    if row.dtype.kind not in "iu" and len(row):
        raise TypeError(f"exclude: expected integers, positions in the database, got {row.dtype}")
    return np.asarray(np.minimum(row, np.iinfo(np.int64).max).astype(np.int64))
