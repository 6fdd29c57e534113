"""The base class of image sources over encoded images that are no files: members of archives, rows of tables, URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.decode import PixelRule, read_encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.sources.stamp import Stamp

MOST_BYTES = 2**30
"""Size of the largest encoded image that is read, in bytes."""


class EncodedImages:
    """Images of one's own, decoded from bytes that a subclass reads.

    Args:
        names: ids of the items.
        labels: int64 (n,), or uint8 0/1 (n, classes); None for no labels.
        classes: names of the class numbers or label columns; empty for no labels.
        remarks: sentences about what was left out or may be wrong, with counts.
    """

    pixel_rule: PixelRule = "upright"
    files: tuple[str, ...] = ()
    """Names of the files that hold the images."""

    def __init__(
        self,
        names: Sequence[str],
        labels: NDArray[Any] | None = None,
        classes: Sequence[str] = (),
        remarks: Sequence[str] = (),
    ) -> None:
        self._names = names
        self.labels: NDArray[Any] = np.zeros(len(names), dtype=np.int64) if labels is None else labels
        self.classes: tuple[str, ...] = tuple(classes)
        self.remarks: tuple[str, ...] = tuple(remarks)

    def __len__(self) -> int:
        return len(self._names)

    def load(self, position: int) -> Image:
        """The RGB image at a position.

        Raises:
            FileNotFoundError: the file that it is part of is gone.
            PermissionError: that file may not be read.
            VtsearchError: bytes that cannot be read, are damaged, or are not an image.
        """
        return self.load_reduced(position, None)

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The RGB image at a position, of at least that shorter side; errors as of ``load``."""
        return read_encoded(self.read(position), self.id(position), self.pixel_rule, least_side)

    def id(self, position: int) -> str:
        """The name of an item."""
        return self._names[position]

    def read(self, position: int) -> bytes:
        """The encoded image at a position; errors as of ``load``, those of decoding aside."""
        raise NotImplementedError

    def stamp(self, position: int) -> Stamp | None:
        """By what a later look tells whether the image has changed; None if nothing does."""
        raise NotImplementedError
