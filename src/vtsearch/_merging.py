"""Merge the answers of consecutive parts of a database, each in the order (distance, index)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vtsearch._queries import Lists, Rows

_MERGED_BYTES = 2**20
_INDEX_BITS = np.uint64(48)
_INDEX_MASK = np.uint64(2**48 - 1)


def nearest(parts: Sequence[Rows], k: int) -> Rows:
    """The first k of several rankings of the same queries, in blocks of queries."""
    columns = min(k, sum(part[0].shape[1] for part in parts))
    queries = len(parts[0][0])
    distances, indices = np.empty((queries, columns), dtype=np.int32), np.empty((queries, columns), dtype=np.int64)
    step = max(1, _MERGED_BYTES // (16 * max(columns, 1)))
    for start in range(0, queries, step):
        rows = slice(start, start + step)
        keys = np.concatenate([sort_keys(part[0][rows], part[1][rows]) for part in parts], axis=1)
        keys.sort(axis=1, kind="stable")  # a stable sort merges sorted runs
        distances[rows], indices[rows] = from_sort_keys(keys[:, :columns])
    return distances, indices


def joined(parts: Sequence[Lists]) -> Lists:
    """The lists of each query as one list."""
    offsets = np.sum([part[0] for part in parts], axis=0)
    distances, indices = np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.int64)
    for q in range(len(offsets) - 1):
        pieces = [(part, slice(part[0][q], part[0][q + 1])) for part in parts]
        keys = np.concatenate([sort_keys(part[1][piece], part[2][piece]) for part, piece in pieces])
        keys.sort(kind="stable")
        row = slice(offsets[q], offsets[q + 1])
        distances[row], indices[row] = from_sort_keys(keys)
    return offsets, distances, indices


def sort_keys(distances: NDArray[np.int32], indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One number in the order of (distance, index): distances have 16 bits, indices at most 48."""
    return distances.astype(np.uint64) << _INDEX_BITS | indices.astype(np.uint64)


def from_sort_keys(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Distances and indices of such numbers."""
    return keys >> _INDEX_BITS, keys & _INDEX_MASK
