"""Groups of near-duplicate codes."""

from __future__ import annotations

from vtsearch.duplicates.groups import Duplicates
from vtsearch.duplicates.search import deduplicate

__all__ = ["Duplicates", "deduplicate"]
