"""The one error class that is ours alone; everything else raises Python's own."""

from __future__ import annotations


class VtsearchError(Exception):
    """Files that do not belong together, or are not what they claim: a corrupt index, fingerprints that differ."""
