"""scikit-learn's 1,797 handwritten digits, 8 x 8 pixels, for whole experiments in seconds without a download.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, 1998,
https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.decode import PixelRule
from vtsearch.errors import require_extra

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class DigitsSource:
    """The digits 0 to 9; grey values 0 to 16 are stretched to 0 to 255 and repeated in three channels."""

    pixel_rule: PixelRule = "published"

    def __init__(self) -> None:
        digits = require_extra("sklearn.datasets").load_digits()
        grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (n, 8, 8)
        self._pixels = np.ascontiguousarray(np.repeat(grey[:, None], 3, axis=1))  # (n, 3, 8, 8)
        self.labels: NDArray[np.int64] = digits.target.astype(np.int64)
        self.classes: tuple[str, ...] = tuple(str(digit) for digit in range(10))

    def __len__(self) -> int:
        return len(self._pixels)

    def pixels(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (b, 3, 8, 8)."""
        return self._pixels[positions]

    def load(self, position: int) -> Image:
        """The 8 x 8 image at a position."""
        image: Image = require_extra("PIL.Image").fromarray(self._pixels[position].transpose(1, 2, 0))
        return image

    def id(self, position: int) -> str:
        """``digits/00017``."""
        return f"digits/{position:05d}"
