"""The vote of the nearest items: what a nearest-neighbor classifier on the codes is right about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch import _answers, _selection, _validate
from vtsearch._labels import checked_labels
from vtsearch.ranking import histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch._exclusions import Exclude

VOTERS = 20

BLOCK_BYTES = 64 << 20  # of counts by class and distance


def vote_accuracy(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    query_labels: ArrayLike,
    db_labels: ArrayLike | None = None,
    voters: int = VOTERS,
    *,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """(q,) float64: 1 where most of the nearest items have the query's class, else 0.

    Items that tie for the last places vote with equal shares of these, so that no order of ties matters; where several
    classes have the most votes, a query of one of them has a share of 1 as large as theirs. A query that may find
    nothing has 0.

    The codes that queries may find are copied in memory, class by class.

    Args:
        query_codes: (q, bytes) uint8, packed.
        db_codes: (n, bytes) uint8 of the same width, n at least 1.
        query_labels: int64 (q,), class numbers.
        db_labels: int64 (n,), class numbers; None with a ``Database`` that has labels.
        voters: how many nearest items vote, at least 1; all where a query may find fewer.
        mask: (n,) bool, or (q, n) with a row for each query, or packed bits, as for ``rank``; items whose mask is False
            are ignored.
        exclude: positions that a query ignores: (q,), a sequence of q arrays, or "self", as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.

    Raises:
        TypeError: codes that are not uint8, labels that are not whole numbers, voters that is not an int; a mask or
            positions of another dtype.
        ValueError: an empty database, other widths or lengths, labels that are no class numbers, voters below 1;
            positions outside the database.

    Example:
        >>> import numpy as np, vtsearch
        >>> codes = vtsearch.pack([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]])
        >>> vtsearch.vote_accuracy(codes[:1], codes, np.array([7]), np.array([7, 7, 2]), voters=2)
        array([1.])
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude)
    of_queries = _classes("query_labels", query_labels, len(selection.queries), "query_codes")
    of_items = _classes("db_labels", selection.database.labels_or(db_labels), len(selection.database), "db_codes")
    voters = _validate.whole_number("voters", voters, 1)
    if not len(of_items):
        raise ValueError("db_codes: expected at least one code, got none")
    shares = np.zeros(len(of_queries))
    for group in selection.groups_of_one_mask():
        mine = slice(group.start, group.stop)
        shares[mine] = _shares(group, of_queries[mine], of_items, voters, threads)
    return shares


def _shares(
    group: _selection.Group,
    of_queries: NDArray[np.int64],
    of_items: NDArray[np.int64],
    voters: int,
    threads: int | None,
) -> NDArray[np.float64]:
    """(q,) the share of 1 of each query of a group; all find the same items, less those that each excludes."""
    order = np.argsort(of_items, kind="stable")
    if group.database.mask is not None:
        order = order[group.database.mask.allows(order)]
    names, starts = np.unique(of_items[order], return_index=True)
    codes = [group.database.codes_of(items) for items in np.split(order, starts[1:])]
    shares = np.zeros(len(of_queries))
    for block in _blocks(group, numbers=len(codes) * (8 * group.database.width + 1)):
        found = np.stack([histogram(block.queries.codes, each, threads=threads) for each in codes], axis=1)
        if block.excluded is not None:
            owners, items, distances = _answers.excluded_pairs(block)
            np.subtract.at(found, (owners, np.searchsorted(names, of_items[items]), distances), 1)
        votes = _votes(found, voters)
        winners = (votes == votes.max(axis=1, keepdims=True)) & (votes > 0)
        rows = slice(block.start - group.start, block.stop - group.start)
        right = (winners & (of_queries[rows, None] == names)).any(axis=1)
        shares[rows] = right / winners.sum(axis=1).clip(min=1)
    return shares


def _votes(found: NDArray[np.int64], voters: int) -> NDArray[np.int64]:
    """(q, classes) votes of items by class and distance, times those that tie for the last places, to stay whole."""
    within = found.cumsum(axis=2)  # (q, classes, distances)
    total = within.sum(axis=1)
    places = np.minimum(voters, total[:, -1:])
    last = (total < places).sum(axis=1)[:, None, None]  # distance of the last voter
    tied = np.take_along_axis(found, last, axis=2)[..., 0]
    before = np.take_along_axis(within, last, axis=2)[..., 0] - tied
    left = places - before.sum(axis=1, keepdims=True)  # to those that tie
    votes: NDArray[np.int64] = before * tied.sum(axis=1, keepdims=True) + tied * left
    return votes


def _blocks(group: _selection.Group, numbers: int) -> Iterator[_selection.Group]:
    """Queries of a group at a time, of so many numbers each, within `BLOCK_BYTES`."""
    count, step = len(group.queries), max(1, BLOCK_BYTES // (8 * numbers))
    for start in range(0, count, step):
        yield group.part(start, min(start + step, count))


def _classes(name: str, labels: ArrayLike, count: int, codes: str) -> NDArray[np.int64]:
    array = checked_labels(name, labels, count, codes)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected shape ({count},), one class for each code, got {array.shape}")
    return array.astype(np.int64)
