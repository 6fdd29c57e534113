"""The list, in the description of an index, of the images that could not be read when it was made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.index import Index

SKIPPED = "skipped"
"""The entry of the description: JSON, a list of names with reasons."""


class SkippedImage(NamedTuple):
    """An image that could not be read."""

    name: str
    """The id that it would have, with bytes that are not UTF-8 as hexadecimal escapes."""
    reason: str


def skipped_images(index: Index) -> list[SkippedImage]:
    """The images that could not be read when an index was made, in their order.

    Raises:
        VtsearchError: an entry of the description that is no such list.
    """
    try:
        rows = json.loads(index.description.get(SKIPPED, "[]"))
        return [SkippedImage(str(name), str(reason)) for name, reason in rows]
    except (ValueError, TypeError) as error:
        raise VtsearchError(f"{index.path}: expected a list of skipped images, got {error}") from error


def skipped_entry(skipped: Sequence[SkippedImage]) -> dict[str, str]:
    """The entry for a description; none if no image was skipped."""
    return {SKIPPED: json.dumps(skipped, ensure_ascii=False)} if skipped else {}
