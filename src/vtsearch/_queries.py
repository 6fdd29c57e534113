"""Queries: codes, and how much each of their bits counts; and the arrays of their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch._validate import Codes, as_array, whole_number

Rows = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Distances and indices, (q, columns)."""

Lists = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]
"""Offsets, distances, indices."""

LARGEST_WEIGHT = 63
"""Four of them add up to a byte: the engine looks up sums of four bits."""

LARGEST_SUM = 65534
"""Weighted distances have 16 bits."""


@dataclass(slots=True)  # not frozen: that takes 0.3 microseconds of every search
class Queries:
    """Validated codes, (q, bytes), and what their bits count; by default 1."""

    codes: Codes
    weights: NDArray[np.uint8] | None = None
    """(q, 8 * bytes)."""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Queries:
        """Some of the queries: a slice, or positions."""
        return Queries(self.codes[rows], None if self.weights is None else self.weights[rows])

    @property
    def farthest(self) -> int:
        """The largest distance that these queries can have."""
        if self.weights is None:
            return 8 * int(self.codes.shape[1])
        return int(self.weights.sum(axis=1, dtype=np.int64).max(initial=0))

    @property
    def beyond(self) -> int:
        """The distance that fills rows of fewer items than results: larger than all others."""
        return 8 * self.codes.shape[1] + 1 if self.weights is None else LARGEST_SUM + 1

    def distances(self, owners: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
        """(pairs,): the distance of each code to the query beside it."""
        differing = self.codes[owners] ^ codes
        if self.weights is None:
            return np.asarray(np.bitwise_count(differing).sum(axis=1, dtype=np.int64))
        bits = np.unpackbits(differing, axis=1)
        return np.asarray(np.einsum("ij,ij->i", bits, self.weights[owners], dtype=np.int64, casting="safe"))


def checked_weights(weights: ArrayLike, codes: Codes) -> NDArray[np.uint8]:
    """Weights for all bits of the bytes of query codes; those after the last one count 0.

    Raises:
        TypeError: weights that are not integers.
        ValueError: another shape; weights out of range, or that add up to more than a distance may be.
    """
    array = as_array("weights", weights)
    if array.ndim == 1 and len(codes) == 1:
        array = array[None, :]
    if array.dtype.kind not in "iu":
        raise TypeError(f"weights: expected integers, got {array.dtype}; use vtsearch.query_weights(features)")
    bits = 8 * codes.shape[1]
    if array.ndim != 2 or len(array) != len(codes) or not bits - 7 <= array.shape[1] <= bits:
        raise ValueError(
            f"weights: expected ({len(codes)}, {bits - 7} to {bits}), one for each bit of a query, got {array.shape}"
        )
    if array.size and (array.min() < 0 or array.max() > LARGEST_WEIGHT):
        raise ValueError(f"weights: expected 0 to {LARGEST_WEIGHT}, got {array.min()} to {array.max()}")
    sums = array.sum(axis=1, dtype=np.int64)
    if sums.max(initial=0) > LARGEST_SUM:
        raise ValueError(
            f"weights: expected a sum of at most {LARGEST_SUM} for each query, got {sums.max()} "
            f"(query {sums.argmax()}); use fewer levels in vtsearch.query_weights"
        )
    return np.pad(array.astype(np.uint8), ((0, 0), (0, bits - array.shape[1])))


def query_weights(features: ArrayLike, *, levels: int | None = None) -> NDArray[np.uint8]:
    """How much each bit of a query counts: the size of its feature, in whole numbers.

    A query that keeps its features compares them with the bits of the database: the sum of the weights of differing
    bits is in the order of the inner product of its features with the signs (-1, +1) of an item, up to rounding. Each
    query has a scale of its own, as its ranking does not depend on it.

    Args:
        features: (q, bits) numbers, of which ``pack`` makes the codes of the queries.
        levels: weight of the largest feature of a query, from 1 to 63; by default 63, or as much as leaves the sum of
            all weights below 65,535, which matters beyond 1,040 bits.

    Returns:
        (q, bits) uint8, each round(levels * abs(feature) / the largest abs(feature) of the query). The weights of a
        query whose features are all 0 are 0, and all items are at distance 0 from it.

    Raises:
        TypeError: features that are not numbers; levels that are not an int.
        ValueError: not (q, bits); NaN or infinite features; levels out of range; more than 65,534 bits.

    Example:
        >>> import vtsearch
        >>> features = [[0.9, -0.3, 0.1, -0.6]]
        >>> vtsearch.query_weights(features)
        array([[63, 21,  7, 42]], dtype=uint8)
        >>> items = vtsearch.pack([[0, 0, 1, 0], [1, 1, 0, 1]])
        >>> vtsearch.rank(vtsearch.pack(features), items, weights=vtsearch.query_weights(features)).distances
        array([[63, 70]], dtype=int32)
    """
    array = as_array("features", features)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"features: expected numbers, got {array.dtype}")
    if array.ndim != 2 or not 1 <= array.shape[1] <= LARGEST_SUM:
        raise ValueError(f"features: expected (q, bits) with 1 to {LARGEST_SUM} bits, got {array.shape}")
    most = min(LARGEST_WEIGHT, LARGEST_SUM // array.shape[1])
    level = most if levels is None else whole_number("levels", levels, 1, most)
    sizes = np.abs(array.astype(np.float64))
    if not np.isfinite(sizes).all():
        raise ValueError(f"features: expected finite numbers, got {sizes[~np.isfinite(sizes)][0]}")
    largest = sizes.max(axis=1, keepdims=True, initial=0)
    return np.rint(sizes / np.where(largest > 0, largest, 1) * level).astype(np.uint8)
