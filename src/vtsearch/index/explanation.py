"""How a search of an index found its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from vtsearch._database import Database
    from vtsearch._tables import Explanation


@dataclass(frozen=True)
class SearchExplanation:
    """What tables and scans did, segment by segment, in the order of the items."""

    items: tuple[int, ...]
    """In each segment."""
    tables: tuple[Explanation | None, ...]
    """How each segment was searched that has tables; None for one without, which was scanned."""

    @classmethod
    def of(cls, database: Database) -> Self:
        """That of a database whose tables were recorded."""
        tables = database.tables or [None] * len(database.parts)
        made = tuple(None if each is None else each.explanation() for each in tables)
        return cls(tuple(map(len, database.parts)), made)

    def __str__(self) -> str:
        tabled = [(count, how) for count, how in zip(self.items, self.tables, strict=True) if how is not None]
        scanned = sum(self.items) - sum(count for count, _ in tabled)
        parts = [f"{scanned:,} items without tables by a scan"] if scanned or not tabled else []
        if tabled:
            parts.insert(0, self._of_tables(tabled))
        return "; ".join(parts)

    def _of_tables(self, tabled: list[tuple[int, Explanation]]) -> str:
        by_tables, keys, candidates = (
            np.concatenate([getattr(how, name) for _, how in tabled]) for name in ("by_tables", "keys", "candidates")
        )
        count = sum(items for items, _ in tabled)
        text = f"{count:,} items in {len(tabled)} segments with tables: {int(by_tables.sum())} of {len(by_tables)} "
        text += "searches of a segment by its tables"
        if by_tables.any():
            medians = (int(np.median(each[by_tables])) for each in (keys, candidates))
            text += " (median: {:,} keys, {:,} codes compared)".format(*medians)
        return text if by_tables.all() else f"{text}, the others by a scan"
