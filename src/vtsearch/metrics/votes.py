"""The vote of the nearest items: what a nearest-neighbor classifier on the codes is right about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch import _validate
from vtsearch._labels import checked_labels
from vtsearch.ranking import histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

VOTERS = 20

BLOCK_BYTES = 64 << 20  # of counts by class and distance


def vote_accuracy(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any],
    query_labels: NDArray[np.generic],
    db_labels: NDArray[np.generic],
    voters: int = VOTERS,
    *,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """(q,) float64: 1 where most of the nearest items have the query's class, else 0.

    Items that tie for the last places vote with equal shares of these, so that no order of ties matters; where several
    classes have the most votes, a query of one of them has a share of 1 as large as theirs.

    Args:
        query_codes: (q, bytes) uint8, packed.
        db_codes: (n, bytes) uint8 of the same width, n at least 1.
        query_labels: int64 (q,), class numbers.
        db_labels: int64 (n,), class numbers.
        voters: how many nearest items vote, at least 1; all of a smaller database.
        threads: upper bound; by default the CPUs that this process may use.

    Raises:
        TypeError: codes that are not uint8, labels that are not whole numbers, voters that is not an int.
        ValueError: an empty database, other widths or lengths, labels that are no class numbers, voters below 1.

    Example:
        >>> import numpy as np, vtsearch
        >>> codes = vtsearch.pack([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]])
        >>> vtsearch.vote_accuracy(codes[:1], codes, np.array([7]), np.array([7, 7, 2]), voters=2)
        array([1.])
    """
    queries, items = _validate.code_pair(query_codes, db_codes)
    of_queries = _classes("query_labels", query_labels, len(queries), "query_codes")
    of_items = _classes("db_labels", db_labels, len(items), "db_codes")
    voters = min(_validate.whole_number("voters", voters, 1), len(items))
    if not len(items):
        raise ValueError("db_codes: expected at least one code, got none")
    order = np.argsort(of_items, kind="stable")
    names, starts = np.unique(of_items[order], return_index=True)
    classes = np.split(items[order], starts[1:])
    winners = np.empty((len(queries), len(names)), np.bool_)
    for rows in _blocks(len(queries), len(names) * (8 * items.shape[1] + 1)):
        votes = _votes(queries[rows], classes, voters, threads)
        winners[rows] = votes == votes.max(axis=1, keepdims=True)
    right = (winners & (of_queries[:, None] == names)).any(axis=1)
    shares: NDArray[np.float64] = right / winners.sum(axis=1)
    return shares


def _votes(
    queries: NDArray[np.uint8], classes: Sequence[NDArray[np.uint8]], voters: int, threads: int | None
) -> NDArray[np.int64]:
    """(q, classes) votes, each query's times the number of items that tie for its last places, to stay whole."""
    found = np.stack([histogram(queries, codes, threads=threads) for codes in classes], axis=1)
    within = found.cumsum(axis=2)  # (q, classes, distances)
    total = within.sum(axis=1)
    last = (total < voters).sum(axis=1)[:, None, None]  # distance of the last voter
    tied = np.take_along_axis(found, last, axis=2)[..., 0]
    before = np.take_along_axis(within, last, axis=2)[..., 0] - tied
    places = voters - before.sum(axis=1, keepdims=True)
    votes: NDArray[np.int64] = before * tied.sum(axis=1, keepdims=True) + tied * places
    return votes


def _blocks(count: int, numbers: int) -> Iterator[slice]:
    """Queries at a time, of so many numbers each, within `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // (8 * numbers))
    for start in range(0, count, step):
        yield slice(start, start + step)


def _classes(name: str, labels: NDArray[np.generic], count: int, codes: str) -> NDArray[np.int64]:
    array = checked_labels(name, labels, count, codes)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected shape ({count},), one class for each code, got {array.shape}")
    return array.astype(np.int64)
