"""rank, within, histogram and distances of 0, 1, 2, ... 300 items equal the reference at every width."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from strategies import FEW_AND_MANY, KINDS, seeded_codes, seeded_queries

from vtsearch import ranking, reference

LONGEST = 300
WIDTHS = (*range(1, 33), 33, 40, 48, 63, 64, 65, 100, 128)


@functools.cache
def problem(width, q):
    """Queries, the longest database, and all that the reference says of it."""
    queries = seeded_queries(width, q, 8 * width)
    database = seeded_codes([width, q], LONGEST, 8 * width, KINDS[width % len(KINDS)])
    distances = reference.distances(queries, database)
    return queries, database, distances, np.argsort(distances, axis=1, kind="stable")


def first_items(width, q, n):
    """(q, n) distances to the first n items, and those items by (distance, index)."""
    _, _, distances, order = problem(width, q)
    return np.ascontiguousarray(distances[:, :n]), order[order < n].reshape(q, n)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_every_length_to_300_is_the_reference(isa, agree, width, q):
    queries, database, _, _ = problem(width, q)
    counts = np.zeros((q, 8 * width + 1), dtype=np.int64)
    for n in range(LONGEST + 1):
        distances, order = first_items(width, q, n)
        if n:
            counts[np.arange(q), distances[:, -1]] += 1
        ranked = np.take_along_axis(distances, order, axis=1)
        k, radius = 1 + n // 3, 1 + (n + 3 * width) % (8 * width)
        near = ranked <= radius
        offsets = np.concatenate([[0], np.cumsum(near.sum(axis=1))])
        agree(ranking.distances(queries, database[:n]), distances)
        agree(ranking.histogram(queries, database[:n]), counts)
        agree(ranking.rank(queries, database[:n], k), (ranked[:, :k], order[:, :k]))
        agree(ranking.within(queries, database[:n], radius), (offsets, ranked[near], order[near]))
