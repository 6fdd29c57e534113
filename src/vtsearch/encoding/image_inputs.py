"""Images as users have them, as an image source: Pillow images, paths, arrays and tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vtsearch.data.sources.decode import PixelRule, read_image, read_opened
from vtsearch.errors import require_extra

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from PIL.Image import Image

    ImageInput = Image | str | Path | NDArray[np.uint8] | Tensor

KINDS = "Pillow images, paths, uint8 arrays (h, w, 3) or uint8 tensors (3, h, w)"


class ImageInputs:
    """A source without labels of images of mixed kinds; an iterator is read to its end first.

    Paths and Pillow images are read upright: with their EXIF orientation, on white where they are transparent. A large
    JPEG, by its path or opened by Pillow and not decoded yet, is decoded no larger than the model needs. The pixels of
    arrays, tensors and decoded Pillow images are taken as they are.

    Raises:
        TypeError: an image of another kind, or pixels that are not uint8.
        ValueError: pixels of another shape.
        FileNotFoundError: an image file that does not exist.
    """

    classes: tuple[str, ...] = ()
    pixel_rule: PixelRule = "upright"

    def __init__(self, images: Iterable[ImageInput]) -> None:
        pillow = require_extra("PIL.Image")
        if isinstance(images, (str, Path, pillow.Image)) or not hasattr(images, "__iter__"):
            raise TypeError(f"images: expected a list of {KINDS}, got one {type(images).__name__}")
        self._images: list[Any] = list(images)
        for position, image in enumerate(self._images):
            _check(image, f"images[{position}]")
        self.labels: NDArray[np.int64] = np.zeros(len(self._images), dtype=np.int64)

    def __len__(self) -> int:
        return len(self._images)

    def load(self, position: int) -> Image:
        """The RGB image at a position.

        Raises:
            FileNotFoundError: an image file that is gone.
            PermissionError: an image file that may not be read.
            VtsearchError: an image that cannot be decoded.
        """
        return self.load_reduced(position, None)

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The RGB image at a position, of at least that shorter side if it is in a file; errors as of ``load``."""
        image, name = self._images[position], f"images[{position}]"
        if isinstance(image, (str, Path)):
            return read_image(Path(image), name, self.pixel_rule, least_side)
        if isinstance(image, Tensor):
            image = image.cpu().permute(1, 2, 0).numpy()
        if isinstance(image, np.ndarray):
            image = require_extra("PIL.Image").fromarray(np.ascontiguousarray(image))
        return read_opened(image, name, self.pixel_rule, least_side)

    def id(self, position: int) -> str:
        """The position as a decimal number."""
        return str(position)


def _check(image: Any, name: str) -> None:
    if isinstance(image, (str, Path)):
        if not Path(image).is_file():
            raise FileNotFoundError(f"{name}: no such image: {image}")
    elif isinstance(image, (np.ndarray, Tensor)):
        _check_pixels(image, name)
    elif not isinstance(image, require_extra("PIL.Image").Image):
        raise TypeError(f"{name}: expected {KINDS}, got {type(image).__name__}")


def _check_pixels(image: NDArray[Any] | Tensor, name: str) -> None:
    is_tensor = isinstance(image, Tensor)
    if image.dtype not in (np.dtype(np.uint8), torch.uint8):
        raise TypeError(f"{name}: expected uint8 pixels, 0 to 255, got {image.dtype}")
    shape = tuple(image.shape)
    if len(shape) != 3 or shape[0 if is_tensor else 2] != 3 or 0 in shape:
        wanted = "(3, h, w)" if is_tensor else "(h, w, 3)"
        raise ValueError(f"{name}: expected shape {wanted}, got {shape}")
