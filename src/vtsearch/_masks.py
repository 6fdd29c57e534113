"""Validate masks and convert them to the packed bits that the native code expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _pages
from vtsearch._validate import as_array


@dataclass(frozen=True)
class Mask:
    """Allowed items: bool (n,), or packed bits uint8 (ceil(n / 8),) as from ``numpy.packbits``."""

    array: NDArray[Any]
    items: int

    def bits(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Packed bits of items start .. stop - 1, as of ``numpy.packbits``; perhaps a view, with any padding."""
        if self.array.dtype == np.bool_:
            part = self.array[start:stop]
            packed = np.packbits(part)
        else:
            part = self.array[start // 8 : (stop + 7) // 8]
            if start % 8 == 0 and not _pages.is_mapped(part):
                return np.ascontiguousarray(part)
            bits = slice(start % 8, start % 8 + stop - start)
            packed = np.array(part) if start % 8 == 0 else np.packbits(np.unpackbits(part)[bits])
        _pages.release(part)
        return packed

    def allows(self, items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of some items is allowed."""
        if self.array.dtype == np.bool_:
            return np.asarray(self.array[items])
        return np.asarray((self.array[items // 8] >> (7 - items % 8).astype(np.uint8)) & 1 != 0)

    def count(self) -> int:
        """The number of allowed items."""
        packed = self.bits(0, self.items)
        padding = packed[-1:] & (0xFF >> (self.items % 8 or 8))
        return int(np.bitwise_count(packed).sum(dtype=np.int64) - np.bitwise_count(padding).sum())


@dataclass(frozen=True)
class QueryMasks:
    """A mask for each query: bool (q, n), or packed bits uint8 (q, ceil(n / 8))."""

    array: NDArray[Any]
    items: int

    @classmethod
    def repeated(cls, mask: Mask | None, queries: int, items: int) -> QueryMasks:
        """The same mask for each query; without one, all items."""
        bits = np.full((items + 7) // 8, 0xFF, dtype=np.uint8) if mask is None else mask.bits(0, items)
        return cls(np.tile(bits, (queries, 1)), items)

    def rows(self, start: int, stop: int) -> QueryMasks:
        """The masks of queries start .. stop - 1."""
        return QueryMasks(self.array[start:stop], self.items)

    def bits(self, start: int, stop: int) -> NDArray[np.uint8]:
        """(q, bytes): packed bits of items start .. stop - 1, as of ``numpy.packbits`` along axis 1; perhaps a view."""
        if self.array.dtype == np.bool_:
            return np.packbits(self.array[:, start:stop], axis=1)
        part = self.array[:, start // 8 : (stop + 7) // 8]
        if start % 8 == 0:
            return np.ascontiguousarray(part)
        bits = np.unpackbits(part, axis=1)
        return np.packbits(bits[:, start % 8 : start % 8 + stop - start], axis=1)

    def without(self, owners: NDArray[np.int64], items: NDArray[np.int64]) -> QueryMasks:
        """A copy that does not allow some items, each of the query beside it."""
        packed = np.array(self.bits(0, self.items))
        np.bitwise_and.at(packed, (owners, items // 8), ~(0x80 >> items % 8).astype(np.uint8))
        return QueryMasks(packed, self.items)

    def counts(self) -> NDArray[np.int64]:
        """(q,) number of items that each mask allows."""
        return np.array([Mask(row, self.items).count() for row in self.array], dtype=np.int64)


def checked_mask(mask: ArrayLike | None, n: int) -> Mask | None:
    """A mask of n items."""
    if mask is None:
        return None
    array = as_array("mask", mask)
    if array.dtype == np.bool_:
        if array.shape != (n,):
            raise ValueError(f"mask: expected bool ({n},), one for each database code, got {array.shape}")
        return Mask(array, n)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        return Mask(_of_positions(array, n), n)
    if array.dtype != np.uint8:
        raise TypeError(
            f"mask: expected bool ({n},), uint8 as numpy.packbits makes it, or positions as integers, got {array.dtype}"
        )
    if array.shape != ((n + 7) // 8,):
        raise ValueError(
            f"mask: expected {(n + 7) // 8} bytes of packed bits for {n} database codes, got {array.shape}; "
            "use mask.astype(bool) if it holds one byte for each item"
        )
    return Mask(array, n)


def restricted(mask: ArrayLike | None, allowed: NDArray[np.bool_]) -> NDArray[Any]:
    """A mask of any form without the items that are not allowed, (n,) bool; for each query if it has rows for these.

    Raises:
        TypeError, ValueError: as ``checked_mask``; rows of another length.
    """
    if mask is None:
        return allowed
    array = as_array("mask", mask)
    if array.ndim != 2:
        checked = checked_mask(array, len(allowed))
        assert checked is not None
        return checked.allows(np.arange(len(allowed))) & allowed
    rows = checked_query_masks(array, len(array), len(allowed)).array
    return np.asarray(rows & (allowed if rows.dtype == np.bool_ else np.packbits(allowed)))


def _of_positions(positions: NDArray[Any], n: int) -> NDArray[np.bool_]:
    if positions.ndim != 1:
        raise ValueError(f"mask: expected positions in one dimension, got {positions.shape}; a mask per query is bool")
    if len(positions) and (positions[0] < 0 or positions[-1] >= n or (positions[1:] <= positions[:-1]).any()):
        raise ValueError(
            f"mask: expected positions from 0 to {n - 1}, ascending and each once, as of numpy.flatnonzero; "
            "use mask.astype(bool) if it holds a number for each item"
        )
    allowed = np.zeros(n, dtype=np.bool_)
    allowed[positions] = True
    return allowed


def checked_query_masks(array: NDArray[Any], queries: int, n: int) -> QueryMasks:
    """A mask of n items for each query."""
    if array.dtype == np.bool_:
        if array.shape != (queries, n):
            raise ValueError(
                f"mask: expected bool ({n},) or ({queries}, {n}), one for each query and database code, "
                f"got {array.shape}"
            )
    elif array.dtype != np.uint8:
        raise TypeError(
            f"mask: expected bool ({queries}, {n}) or uint8 as numpy.packbits makes it along axis 1, got {array.dtype}"
        )
    elif array.shape != (queries, (n + 7) // 8):
        raise ValueError(
            f"mask: expected ({queries}, {(n + 7) // 8}) bytes of packed bits for {queries} queries and {n} database "
            f"codes, got {array.shape}; use mask.astype(bool) if it holds one byte for each item"
        )
    return QueryMasks(array, n)
