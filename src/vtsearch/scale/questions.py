"""The questions that shards answer: what is sent to them, and what each does with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database
from vtsearch._masks import Mask, QueryMasks

if TYPE_CHECKING:
    from vtsearch._queries import Lists, Queries, Rows
    from vtsearch.index import IndexView
    from vtsearch.index.where import Params

PackedMask = NDArray[np.uint8]
"""(bytes,) for all queries, or (q, bytes): packed bits of the items of one shard."""


class Question(Protocol):
    """Sent to all shards; picklable."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""

    def answer(self, items: IndexView, own: Any, threads: int) -> Any:
        """What one shard answers; ``own`` was sent to this shard alone."""


@dataclass(frozen=True)
class Scanned:
    """A question to the codes; ``own`` is the mask of the shard's items, or None."""

    queries: Queries
    bits: int | None
    """Compare the first bits alone."""

    @property
    def nbytes(self) -> int:
        """Bytes of the queries."""
        weights = self.queries.weights
        return self.queries.codes.nbytes + (0 if weights is None else weights.nbytes)

    def scan(self, items: IndexView, own: PackedMask | None) -> _database.Scan:
        """A pass over the items that a mask allows."""
        database, count = items.database(bits=self.bits), len(items)
        if own is not None and own.ndim == 2:
            return _database.Scan(database, len(self.queries), masks=QueryMasks(own, count))
        return _database.Scan(database.with_mask(None if own is None else Mask(own, count)), len(self.queries))


@dataclass(frozen=True)
class Nearest(Scanned):
    """The k nearest items of each query."""

    k: int

    def answer(self, items: IndexView, own: PackedMask | None, threads: int) -> Rows:
        """Positions are those of the shard."""
        return _database.scan_rank(self.queries, self.scan(items, own), self.k, threads)


@dataclass(frozen=True)
class Within(Scanned):
    """The items within a radius of each query."""

    radius: int

    def answer(self, items: IndexView, own: PackedMask | None, threads: int) -> Lists:
        """Positions are those of the shard."""
        return _database.scan_within(self.queries, self.scan(items, own), self.radius, threads)


@dataclass(frozen=True)
class Count(Scanned):
    """The number of items within a radius of each query."""

    radius: int

    def answer(self, items: IndexView, own: PackedMask | None, threads: int) -> NDArray[np.int64]:
        """One number for each query, (q,)."""
        return _database.scan_count(self.queries, self.scan(items, own), self.radius, threads)


@dataclass(frozen=True)
class Distances(Scanned):
    """The number of items at each distance from each query."""

    def answer(self, items: IndexView, own: PackedMask | None, threads: int) -> NDArray[np.int64]:
        """One row for each query, (q, largest distance + 1)."""
        return _database.scan_histogram(self.queries, self.scan(items, own), threads)


@dataclass(frozen=True)
class Matching:
    """The items that a condition in SQL holds for."""

    condition: str
    params: Params
    seconds: float | None
    nbytes: int = 0

    def answer(self, items: IndexView, own: None, threads: int) -> NDArray[np.bool_]:  # noqa: ARG002 (as all)
        """(n,) of the shard's items."""
        return items.where(self.condition, self.params, seconds=self.seconds)
