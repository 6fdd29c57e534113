"""One state of a sharded index: its items, divided among shards, and the questions to them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.index import IndexView
from vtsearch.index.view import joined_generation
from vtsearch.index.where import Where
from vtsearch.scale.cuts import cut_points, spans_between
from vtsearch.scale.questions import Matching
from vtsearch.scale.scanner import PrefixDatabase, ShardScanner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch._database import Database
    from vtsearch.index import Index
    from vtsearch.index.where import Params
    from vtsearch.scale.shards import Shards


class ShardedState(IndexView):
    """All items of some indexes: ids, labels and metadata from their files, searches by shards."""

    def __init__(self, indexes: Sequence[Index], shards: Shards) -> None:
        """``indexes``: open, whose states this one keeps.

        Raises:
            VtsearchError: indexes whose codes do not belong together.
        """
        views = [index.between(0, len(index)) for index in indexes]
        spans = [span for view in views for span in view.spans]
        generation = joined_generation(spans, [view.state for view in views])
        super().__init__(generation, spans, indexes[0].path)
        self._shards = shards
        tabled = any(part.segment.tables for part in generation.parts)
        self.cuts = cut_points(len(generation), len(shards), generation.bounds if tabled else ())
        """The positions at which the shards begin, and the number of items."""
        self.shard_items = [spans_between(spans, *ends) for ends in itertools.pairwise(self.cuts)]
        """The items of each shard."""

    @property
    def shards(self) -> Shards:
        """Who answers."""
        return self._shards

    def where(self, condition: str, params: Params = (), *, seconds: float | None = None) -> NDArray[np.bool_]:
        """As ``Index.where``; each shard looks at its own items, for this time at most."""
        Where(condition, params, self._generation().about, seconds)  # raises before anything is sent
        found = self._shards.ask(self.shard_items, Matching(condition, params, seconds))
        return np.concatenate(found)

    def _scanned(self, bits: int | None) -> Database:
        whole = self._generation().database
        if bits is None or bits == self.bits:
            bits, scanned = None, whole
        else:
            scanned = PrefixDatabase(whole, bits)
        return scanned.with_scanner(ShardScanner(self._shards, self.shard_items, self.cuts, bits))

    def _frozen(self) -> ShardedState:
        return self
