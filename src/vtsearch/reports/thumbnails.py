"""Small pictures as ``data:`` addresses, each once."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from vtsearch.errors import require_extra

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 112
"""Pixels of the longer side."""
EXACT = 48
"""Pixels up to which a picture is kept as it is: there is little to save, and JPEG would blur it."""
QUALITY = 82


class Thumbnails:
    """Collects the pictures of a document; an equal picture has one place."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def add(self, image: Image) -> int:
        """The place of a picture among ``addresses``."""
        return self._places.setdefault(data_address(image), len(self._places))

    @property
    def addresses(self) -> list[str]:
        """The pictures so far."""
        return list(self._places)


def data_address(image: Image) -> str:
    """An RGB image, at most 112 pixels long, as a ``data:`` address: PNG of a tiny one, else JPEG."""
    resampling: Any = require_extra("PIL.Image").Resampling
    small = image.convert("RGB")
    small.info.clear()  # no comment, place or time of a photograph leaves its file
    tiny = max(small.size) <= EXACT
    if not tiny:
        small.thumbnail((SIDE, SIDE), resampling.LANCZOS)
    buffer = io.BytesIO()
    if tiny:
        small.save(buffer, "PNG", optimize=True)
    else:
        small.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/{'png' if tiny else 'jpeg'};base64,{base64.b64encode(buffer.getvalue()).decode()}"
