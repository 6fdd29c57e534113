"""What codes look like, in numbers: distances of pairs, balance and correlation of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.codes import unpack
from vtsearch.evaluation.code_statistics import bit_statistics
from vtsearch.metrics.histograms import relevance_histograms
from vtsearch.ranking import histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vtsearch.reports.subjects import Pair, Side

SAMPLE = 20_000
"""Items whose bits are looked at."""
CONSTANT = 0.01
"""A bit is nearly constant if at most this share of items differs there from the others."""


@dataclass(frozen=True)
class Distances:
    """Pairs of a query and an item of the database by their distance."""

    same: NDArray[np.int64] | None
    """(bits + 1,) pairs that share a label; None without labels."""
    other: NDArray[np.int64]
    """(bits + 1,) the other pairs; without labels, all."""
    nearest: NDArray[np.int64]
    """(bits + 1,) queries by the distance of their nearest item."""
    within: NDArray[np.int64]
    """(bits + 1,) queries that find an item within each radius."""

    @property
    def separation(self) -> float | None:
        """How often a pair that shares a label is nearer than another, ties counted half: the area under ROC."""
        if self.same is None or not self.same.sum() or not self.other.sum():
            return None
        farther = self.other[::-1].cumsum()[::-1] - self.other / 2
        return float((self.same * farther).sum() / (self.same.sum() * self.other.sum()))


@dataclass(frozen=True)
class Bits:
    """The bits of a seeded sample of the database."""

    items: int
    balance: NDArray[np.float64]
    """(bits,) share of items that have a 1."""
    correlation: NDArray[np.float64]
    """(bits, bits) Pearson's r; 0 beside a constant bit."""
    distinct: int
    """Different codes in the sample."""

    @property
    def constant(self) -> int:
        """Bits that are nearly constant: they tell nothing apart."""
        return int((np.minimum(self.balance, 1 - self.balance) <= CONSTANT).sum())

    def pairs(self) -> NDArray[np.float64]:
        """(bits * (bits - 1) / 2,) absolute correlation of each pair of bits."""
        rows, columns = np.triu_indices(len(self.balance), 1)
        strengths: NDArray[np.float64] = np.abs(self.correlation[rows, columns])
        return strengths


def distances_of(pair: Pair, bits: int) -> Distances:
    """Distances between all queries and the items that they may find."""
    query, database = pair.query, pair.database
    codes = np.concatenate(query.codes.parts)
    if query.labels is None or database.labels is None:
        items, relevant = histogram(codes, database.codes, exclude=pair.exclude), None
    else:
        found = relevance_histograms(codes, database.codes, query.labels, database.labels, exclude=pair.exclude)
        items, relevant = found.items, found.relevant
    items = items[:, : bits + 1]
    same = None if relevant is None else relevant[:, : bits + 1].sum(axis=0)
    total = items.sum(axis=0)
    nearest = np.bincount(np.argmax(items > 0, axis=1), minlength=bits + 1)
    return Distances(same, total if same is None else total - same, nearest, nearest.cumsum())


def bits_of(side: Side, bits: int, sample: Callable[[int, int], NDArray[np.int64]]) -> Bits:
    """Balance and correlation of the bits of a sample of items.

    Args:
        side: the items.
        bits: length of the codes.
        sample: from a number of items and a number wanted to ascending positions.
    """
    codes = side.codes.rows(sample(len(side), SAMPLE))
    found = bit_statistics(unpack(codes, bits))
    return Bits(len(codes), found.balance, found.correlation, len(np.unique(codes, axis=0)))


def mean_distance(counts: NDArray[np.int64]) -> float | None:
    """The mean of a histogram of distances; None of an empty one."""
    total = int(counts.sum())
    return float(counts @ np.arange(len(counts))) / total if total else None
