"""Codes, labels and masks: Hypothesis strategies, and seeded arrays of the kinds that break kernels."""

from __future__ import annotations

import functools

import numpy as np
from hypothesis import strategies as st

EDGES = (0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)
EDGE_BITS = (8, 16, 32, 64, 128, 100, 264)
"""Widths with kernels of their own, one that fills no bytes, one of an odd byte more; tests/core takes all others."""
FEW_AND_MANY = (3, 17)
"""Numbers of queries: up to 15 are compared with codes as they lie in memory, more with bit-sliced blocks."""
KINDS = ("random", "few", "equal", "nearest first", "farthest first")


def seeded_codes(seed, n, bits, kind="random"):
    """(n, ceil(bits / 8)) codes: "few" distinct ones tie everywhere, sorted ones meet the threshold first or last."""
    rng = np.random.default_rng(seed)
    packed = np.packbits(rng.integers(0, 2, (n, bits), dtype=np.uint8), axis=1)
    if kind == "few":
        return packed[rng.integers(0, min(n, 4), n)] if n else packed
    if kind == "equal":
        return np.repeat(packed[:1], n, axis=0)
    if kind in ("nearest first", "farthest first"):
        order = np.argsort(np.bitwise_count(packed).sum(axis=1, dtype=int), kind="stable")  # distance to the zero code
        return packed[order if kind == "nearest first" else order[::-1]]
    return packed


def seeded_near_duplicates(seed, n, bits, most_flips=3):
    """(n, ceil(bits / 8)) codes, random ones and, half of them, copies of earlier ones with a few bits flipped."""
    return _near_duplicates(seed, n, bits, most_flips).copy()


@functools.cache
def _near_duplicates(seed, n, bits, most_flips):
    rng = np.random.default_rng([seed, n, bits])
    codes = rng.integers(0, 2, (n, bits), dtype=np.uint8)
    for i in range(1, n):
        if rng.random() < 0.5:
            codes[i] = codes[rng.integers(i)]
            codes[i, rng.integers(0, bits, rng.integers(most_flips + 1))] ^= 1
    return np.packbits(codes, axis=1)


def seeded_queries(seed, q, bits):
    """(q, ceil(bits / 8)) random codes, the first of which is all zero."""
    codes = seeded_codes([seed, 1], q, bits)
    codes[:1] = 0
    return codes


@st.composite
def retrievals(draw, max_items=60):
    """Queries, database, their single or multiple labels: a small, much tied retrieval problem."""
    bits = draw(st.sampled_from([1, 2, 3, 8, 11, 16, 24, 32, 64]))
    q, n = draw(st.sampled_from([1, 2, 4, 16, 19])), draw(st.integers(1, max_items))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(KINDS))
    classes = draw(st.integers(2, 6))
    if draw(st.booleans()):
        query_labels, db_labels = rng.integers(-2, classes, q), rng.integers(-2, classes, n)
    else:
        share = draw(st.sampled_from([0.0, 0.2, 0.7]))
        query_labels, db_labels = (rng.random((rows, classes)) < share for rows in (q, n))
    seed = int(rng.integers(2**32))
    return seeded_queries(seed, q, bits), seeded_codes(seed, n, bits, kind), query_labels, db_labels


@st.composite
def masks(draw, n):
    """(n,) bool: empty, sparse, half, full."""
    share = draw(st.sampled_from([0.0, 0.01, 0.5, 1.0]))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(n) < share
