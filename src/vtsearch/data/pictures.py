"""Images of the items of an index for a figure, in which one that is gone does not hide the others."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from vtsearch.data.locate import ImageLocator, knows_images
from vtsearch.errors import VtsearchError, require_extra

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL.Image import Image

    from vtsearch.index.reading import Reading

SIDE, LINE = 160, 24
"""Pixels of a tile's side; characters of its lines."""


class Pictures:
    """Loads the images of an index; a grey tile with the name stands for an image that cannot be read.

    Args:
        locator: of the index.
    """

    def __init__(self, locator: ImageLocator) -> None:
        self._locator = locator
        self.missing: dict[str, str] = {}
        """Id -> reason of the images that could not be read so far."""

    def load(self, position: int) -> Image:
        """The RGB image of an item, or its tile."""
        try:
            return self._locator.load(position)
        except (VtsearchError, OSError) as error:
            name = self._locator.id(position)
            self.missing[name] = str(error)
            return tile(name)

    def note(self) -> str:
        """One line about the images that could not be read; empty if there are none."""
        if not self.missing:
            return ""
        name, reason = next(iter(self.missing.items()))
        count = "1 image" if len(self.missing) == 1 else f"{len(self.missing):,} images"
        return f"a tile with the name stands for {count} that cannot be read, such as {name}: {reason}"


def image_loader(index: Reading, root: str | Path | None = None) -> Callable[[int], Image] | None:
    """The function that loads the image of an item, or a tile with its name; None if the images cannot be found.

    Args:
        index: whose description says where its images are.
        root: where they are now, if they have moved.
    """
    if not knows_images(index):
        return None
    try:
        locator = ImageLocator.of(index, root=root)
    except (VtsearchError, OSError):
        return None
    return Pictures(locator).load


def tile(name: str) -> Image:
    """A grey RGB image of 160 x 160 pixels with a name on it."""
    image: Image = require_extra("PIL.Image").new("RGB", (SIDE, SIDE), (225, 228, 232))
    text = "\n".join(textwrap.wrap(name.encode("ascii", "replace").decode(), LINE)[:6])
    draw = require_extra("PIL.ImageDraw").Draw(image)
    draw.multiline_text((8, 8), f"not found:\n{text}", fill=(60, 64, 72))
    draw.line((8, SIDE - 8, SIDE - 8, SIDE - 8), fill=(138, 143, 152))
    return image
