"""Near codes of a partition that agree in some bits: at once, or in pieces where they are more than memory takes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vtsearch import _native
from vtsearch._validate import Codes
from vtsearch.scale.duplicates.job import sets_of

Slice: TypeAlias = tuple[Codes, NDArray[np.integer]]
"""(n, bytes) codes, and their positions."""

Condition: TypeAlias = tuple[Codes, int, int]
"""The bits of a mask, and the number of pieces by a hash of them, of which one is meant."""

_SAMPLED = 2**14


@dataclass(frozen=True)
class Partition:
    """Codes that are all different.

    Args:
        slices: reads them; called again for each piece.
        radius: in bits.
        limit: codes in memory; where more agree in a set of bits, they are cut by further bits.
        threads: upper bound.
    """

    slices: Callable[[], Iterator[Slice]]
    radius: int
    limit: int
    threads: int

    def forests(self, sets: Codes, conditions: tuple[Condition, ...] = ()) -> Iterator[NDArray[np.int64]]:
        """Of the near codes that meet some conditions and agree in one of some sets of bits: (n, 2) positions each."""
        if not conditions:  # a task for them all: they are few enough
            yield self._forest(sets, ())
            return
        count = sum(len(codes) for codes, _ in self._selected(conditions))
        finer = sets if count <= self.limit else self._finer(sets, count, conditions)
        if _bits(finer) == _bits(sets):  # they are few enough, or as equal as different codes can be
            yield self._forest(sets, conditions)
            return
        pieces = -(-count // self.limit)
        for each in finer:
            for piece in range(pieces):
                yield from self.forests(each[None], (*conditions, (each, pieces, piece)))

    def _forest(self, sets: Codes, conditions: tuple[Condition, ...]) -> NDArray[np.int64]:
        codes, positions = self._joined(conditions, sets.shape[1])
        return links(_native.agreeing_forest(codes, sets, self.radius, self.threads), positions)

    def _joined(self, conditions: tuple[Condition, ...], width: int) -> Slice:
        found = list(self._selected(conditions))
        codes = np.concatenate([np.empty((0, width), dtype=np.uint8), *(each for each, _ in found)])
        return codes, np.concatenate([np.empty(0, dtype="<u4"), *(each for _, each in found)])

    def _finer(self, sets: Codes, count: int, conditions: tuple[Condition, ...]) -> Codes:
        """Sets of more bits: near codes that agree in one of the old ones agree in one of these."""
        some = [codes[: max(_SAMPLED * len(codes) // count, 1)] for codes, _ in self._selected(conditions)]
        blocks, chosen = _native.plan_blocks(np.concatenate(some), count, self.radius)
        further = sets_of(blocks, chosen)
        return np.unique((sets[:, None] | further[None]).reshape(-1, sets.shape[1]), axis=0)

    def _selected(self, conditions: tuple[Condition, ...]) -> Iterator[Slice]:
        for each in self.slices():
            yield functools.reduce(_piece, conditions, each)


def links(parents: NDArray[np.int64], positions: NDArray[np.integer]) -> NDArray[np.int64]:
    """(n, 2): the positions of items that have another one as their parent, and of that one."""
    items = np.flatnonzero(parents != np.arange(len(parents)))
    return np.stack([positions[items], positions[parents[items]]], axis=1).astype(np.int64)


def _piece(codes: Slice, condition: Condition) -> Slice:
    mask, pieces, piece = condition
    offsets, rows = _native.partition_codes(codes[0], mask, pieces)
    kept = rows[offsets[piece] : offsets[piece + 1]]
    return codes[0][kept], codes[1][kept]


def _bits(sets: Codes) -> int:
    """Of the smallest set."""
    return int(np.bitwise_count(sets).sum(axis=1, dtype=np.int64).min())
