"""How a search of an index found its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from vtsearch._database import Database
    from vtsearch._tables import Explanation


@dataclass(frozen=True)
class SearchExplanation:
    """What tables and scans did."""

    items: int
    """In the index."""
    tabled: int
    """Of which are in segments with tables; the others were scanned."""
    tables: Explanation | None
    """How these answered, if there are any."""

    @classmethod
    def of(cls, database: Database) -> Self:
        """That of a database whose tables were recorded."""
        tables = database.tables
        tabled = 0 if tables is None else len(tables)
        return cls(len(database), tabled, None if tables is None else tables.explanation())

    def __str__(self) -> str:
        scanned = self.items - self.tabled
        parts = [] if self.tables is None else [f"{self.tabled:,} items with tables: {self.tables}"]
        if scanned or self.tables is None:
            parts.append(f"{scanned:,} items without tables by a scan")
        return "; ".join(parts)
