"""One module for each section of a report: from groups of subjects to blocks, by pure functions."""

from __future__ import annotations
