"""Candidates of a ranking in another order: by what their bits count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _database, _merging, _native, _validate
from vtsearch._database import Database
from vtsearch._queries import checked_weights
from vtsearch.ranking import Ranking


def rescore(
    candidates: Ranking | ArrayLike,
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    weights: ArrayLike,
    k: int | None = None,
) -> Ranking:
    """The candidates of each query by weighted distance, nearest first.

    A search by ``rank``, ``MultiIndex`` or another library finds more candidates than wanted; their order by weights is
    nearly that by the features of the query. ``rank`` with weights orders all items so.

    Args:
        candidates: a ``Ranking``, or (q, c) positions in the database.
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``; of files, only the candidates are read. A mask of
            a ``Database`` is not applied.
        weights: (q, bits) integers, as for ``rank``.
        k: results per query, at least 1; None, or more than there are, means all candidates.

    Returns:
        distances int32 and indices int64, both (q, min(k, c)), ordered by (weighted distance, index).

    Raises:
        TypeError: codes that are not uint8; candidates or weights that are not integers; k that is not an int.
        ValueError: candidates of another shape, or outside the database; widths that differ; weights that ``rank``
            refuses; k below 1.

    Example:
        >>> import vtsearch
        >>> items, features = vtsearch.pack([[1, 0, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]]), [[0.9, 0.1, -0.8, -0.2]]
        >>> query = vtsearch.pack(features)
        >>> found = vtsearch.rank(query, items, k=2)
        >>> vtsearch.rescore(found, query, items, vtsearch.query_weights(features))
        Ranking(distances=array([[ 7, 56]], dtype=int32), indices=array([[0, 1]]))
    """
    codes, database = _database.query_and_database(query_codes, db_codes)
    counts = checked_weights(weights, codes)
    items = _positions(candidates, len(codes), len(database))
    columns = _validate.cut_off(k, items.shape[1])
    distances = np.empty(items.shape, dtype=np.int32)
    for q, row in enumerate(items):
        one = slice(q, q + 1)
        _native.distances(codes[one], database.codes_of(row), distances[one], 1, counts[one])
    keys = _merging.sort_keys(distances, items)
    keys.sort(axis=1)
    ordered, indices = _merging.from_sort_keys(keys[:, :columns])
    return Ranking(ordered.astype(np.int32), indices.astype(np.int64))


def _positions(candidates: Ranking | ArrayLike, queries: int, n: int) -> NDArray[np.int64]:
    """(q, c) positions in a database of n items."""
    given = candidates.indices if isinstance(candidates, Ranking) else candidates
    array = _validate.as_array("candidates", given)
    if array.ndim != 2 or len(array) != queries:
        raise ValueError(f"candidates: expected a ranking or positions ({queries}, c), got {array.shape}")
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"candidates: expected integers, positions in the database, got {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= n):
        raise ValueError(f"candidates: expected positions from 0 to {n - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int64)
