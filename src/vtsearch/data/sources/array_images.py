"""Images and labels in arrays, as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._labels import checked_labels
from vtsearch.data.sources.decode import PixelRule
from vtsearch.errors import require_extra

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from PIL.Image import Image


class ArrayImages:
    """Equally sized images in an array; their pixels are taken as they are.

    Args:
        images: uint8 (n, h, w, 3), red, green and blue.
        labels: int (n,) class numbers from 0, or 0/1 (n, classes).
        name: of the argument, for messages.

    Raises:
        TypeError: pixels that are not uint8, labels that are not ints.
        ValueError: another shape, no image, a class number below 0, labels of other images.
    """

    pixel_rule: PixelRule = "upright"

    def __init__(self, images: ArrayLike, labels: ArrayLike, name: str = "data") -> None:
        pixels = np.asarray(images)
        if pixels.dtype != np.uint8:
            raise TypeError(f"{name}: images: expected uint8 pixels, 0 to 255, got {pixels.dtype}")
        if pixels.ndim != 4 or pixels.shape[3] != 3 or 0 in pixels.shape:
            raise ValueError(f"{name}: images: expected shape (n, h, w, 3), got {pixels.shape}")
        self._images: NDArray[np.uint8] = pixels
        self.labels: NDArray[Any] = class_labels(labels, len(pixels), name)
        self.classes: tuple[str, ...] = numbered_classes(self.labels)

    def __len__(self) -> int:
        return len(self._images)

    def pixels(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (b, 3, h, w) of the positions, in their order."""
        return np.ascontiguousarray(self._images[positions].transpose(0, 3, 1, 2))

    def load(self, position: int) -> Image:
        """The image at a position."""
        image: Image = require_extra("PIL.Image").fromarray(np.ascontiguousarray(self._images[position]))
        return image

    def id(self, position: int) -> str:
        """The position as a decimal number."""
        return str(position)


def class_labels(labels: ArrayLike, count: int, name: str) -> NDArray[Any]:
    """Checked labels of images: int64 (n,) class numbers from 0, or uint8 0/1 (n, classes).

    Raises:
        TypeError: labels that are not ints.
        ValueError: another shape, other values, another number of labels, or a class number below 0.
    """
    checked = checked_labels(f"{name}: labels", labels, count, "the images")
    if checked.ndim == 1 and checked.min(initial=0) < 0:
        raise ValueError(f"{name}: labels: expected class numbers from 0, got {checked.min()}")
    return checked


def numbered_classes(labels: NDArray[Any]) -> tuple[str, ...]:
    """Names of classes that have none: their numbers, or those of the label columns."""
    count = labels.shape[1] if labels.ndim > 1 else int(labels.max(initial=-1)) + 1
    return tuple(str(number) for number in range(count))
