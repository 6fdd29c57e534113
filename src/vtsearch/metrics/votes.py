"""The vote of the nearest items: what a nearest-neighbor classifier on the codes is right about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch import _validate
from vtsearch._labels import checked_labels
from vtsearch.ranking import histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

VOTERS = 20


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
    within = histogram(query_codes, db_codes, threads=threads).cumsum(axis=1)  # (q, distances)
    of_queries = _classes("query_labels", query_labels, len(within), "query_codes")
    of_items = _classes("db_labels", db_labels, len(db_codes), "db_codes")
    voters = min(_validate.whole_number("voters", voters, 1), len(of_items))
    if not len(of_items):
        raise ValueError("db_codes: expected at least one code, got none")
    last = (within < voters).sum(axis=1)  # distance of the last voter
    before = _at(within, last - 1)
    tied, places = _at(within, last) - before, voters - before
    names, votes = [], []
    for name, codes in _by_class(db_codes, of_items):
        found = histogram(query_codes, codes, threads=threads).cumsum(axis=1)
        inside = _at(found, last - 1)
        names.append(name)
        votes.append(inside * tied + (_at(found, last) - inside) * places)  # times `tied`, to stay whole
    most = np.stack(votes, axis=1)  # (q, classes)
    winners = most == most.max(axis=1, keepdims=True)
    right = (winners & (of_queries[:, None] == np.array(names))).any(axis=1)
    shares: NDArray[np.float64] = right / winners.sum(axis=1)
    return shares


def _classes(name: str, labels: NDArray[np.generic], count: int, codes: str) -> NDArray[np.int64]:
    array = checked_labels(name, labels, count, codes)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected shape ({count},), one class for each code, got {array.shape}")
    return array.astype(np.int64)


def _by_class(codes: NDArray[Any], labels: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Each class and its codes; one class is copied at a time."""
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    for name, rows in zip(names.tolist(), np.split(order, starts[1:]), strict=True):
        yield name, codes[rows]


def _at(within: NDArray[np.int64], distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """(q,): how many lie within a distance of each query; 0 within -1."""
    found: NDArray[np.int64] = within[np.arange(len(within)), np.maximum(distance, 0)]
    return np.where(distance < 0, 0, found)
