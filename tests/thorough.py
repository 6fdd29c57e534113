"""How much the longest tests try: a part of it by default, all of it with ``VTSEARCH_THOROUGH=1``, for a release."""

from __future__ import annotations

import os

EVERYTHING = os.environ.get("VTSEARCH_THOROUGH") == "1"


def amount(part: int, everything: int) -> int:
    """A number of kills, or a step between the cases that are tried."""
    return everything if EVERYTHING else part
