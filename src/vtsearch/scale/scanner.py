"""Scans of a database by shards: questions sent, answers merged in the order (distance, position)."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch import _merging
from vtsearch._database import Database
from vtsearch.codes import prefix
from vtsearch.scale.questions import Count, Distances, Nearest, Within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch._database import Done
    from vtsearch._masks import Mask, QueryMasks
    from vtsearch._queries import Lists, Queries, Rows
    from vtsearch._validate import Codes
    from vtsearch.index.view import Span
    from vtsearch.scale.questions import Question
    from vtsearch.scale.shards import Shards


class ShardScanner:
    """The scans of one state of a sharded index.

    Args:
        shards: that answer.
        items: of each shard.
        cuts: positions at which they begin, and the number of all items.
        bits: of which the codes are compared; None means all.
    """

    def __init__(
        self, shards: Shards, items: Sequence[tuple[Span, ...]], cuts: Sequence[int], bits: int | None
    ) -> None:
        self._shards, self._items, self._cuts, self._bits = shards, items, cuts, bits

    def rank(self, queries: Queries, k: int, mask: Mask | QueryMasks | None, done: Done) -> Rows:
        """The k nearest of each query, ordered by (distance, position)."""
        found = self._ask(Nearest(queries, self._bits, k), mask, done)
        firsts = zip(found, self._cuts, strict=False)
        return _merging.nearest([(distances, indices + first) for (distances, indices), first in firsts], k)

    def within(self, queries: Queries, radius: int, mask: Mask | QueryMasks | None, done: Done) -> Lists:
        """All items within the radius of each query, ordered by (distance, position)."""
        found = self._ask(Within(queries, self._bits, radius), mask, done)
        firsts = zip(found, self._cuts, strict=False)
        return _merging.joined(
            [(offsets, distances, indices + first) for (offsets, distances, indices), first in firsts]
        )

    def count(self, queries: Queries, radius: int, mask: Mask | QueryMasks | None, done: Done) -> NDArray[np.int64]:
        """(q,) items within the radius."""
        return self._sum(Count(queries, self._bits, radius), mask, done)

    def histogram(self, queries: Queries, mask: Mask | QueryMasks | None, done: Done) -> NDArray[np.int64]:
        """(q, largest distance + 1) items at each distance."""
        return self._sum(Distances(queries, self._bits), mask, done)

    def _sum(self, question: Question, mask: Mask | QueryMasks | None, done: Done) -> NDArray[np.int64]:
        found = self._ask(question, mask, done)
        return functools.reduce(operator.add, found[1:], np.array(found[0]))  # those of Ray are read-only

    def _ask(self, question: Question, mask: Mask | QueryMasks | None, done: Done) -> list[Any]:
        ends = zip(self._cuts, self._cuts[1:], strict=False)
        own = None if mask is None else [mask.bits(start, stop) for start, stop in ends]
        lengths = np.diff(self._cuts).tolist()
        return self._shards.ask(self._items, question, own, lambda number: done(lengths[number]))


class PrefixDatabase(Database):
    """The first bits of codes that shards scan; this process looks single ones up and copies no others."""

    def __init__(self, whole: Database, bits: int) -> None:
        super().__init__(np.empty((0, -(-bits // 8)), dtype=np.uint8))
        self._whole, self._bits = whole, bits
        self._length = len(whole)

    def codes_of(self, items: NDArray[np.int64]) -> Codes:
        """(items, bytes): a copy of the codes of some items."""
        return prefix(self._whole.codes_of(items), self._bits)

    def rows(self, positions: NDArray[np.int64]) -> Codes:
        """A copy of the codes at some positions, ascending."""
        return prefix(self._whole.rows(positions), self._bits)
