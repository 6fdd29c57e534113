"""Preprocessing of images to the pixels a backbone was trained on; saved with the model.

Everything works on uint8 tensors, one image or a batch, so that an image alone and the same image in a batch give
the same pixels. Resizing is antialiased and rounds to uint8, as Pillow's (and so timm's) does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as pixels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torch import Tensor

Interpolation = Literal["bilinear", "bicubic"]
MARGIN = 2
"""A file is decoded to at least this many times the side that it is resized to, so that antialiasing has its say."""


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing for evaluation: resize, center crop, normalize.

    The shorter side is resized to ``image_size / crop_pct`` and the middle ``image_size`` square is kept. A square
    image smaller than ``image_size`` (CIFAR-10: 32 pixels) is resized straight to it: there a crop would only throw
    away content.
    """

    image_size: int
    """Side of the square that the backbone sees, in pixels."""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Subtracted per channel (red, green, blue), on the scale 0 to 1."""
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Divided by per channel, after the mean."""
    interpolation: Interpolation = "bicubic"
    """How pixels are resized."""
    crop_pct: float = 0.9
    """Share of the resized shorter side that the crop keeps, above 0 and at most 1."""

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"image_size: expected at least 1, got {self.image_size}")
        if not 0 < self.crop_pct <= 1:
            raise ValueError(f"crop_pct: expected a number above 0 and at most 1, got {self.crop_pct}")
        if self.interpolation not in ("bilinear", "bicubic"):
            raise ValueError(f"interpolation: expected 'bilinear' or 'bicubic', got {self.interpolation!r}")
        if {len(tuple(self.mean)), len(tuple(self.std))} != {3} or min(self.std) <= 0:
            raise ValueError(f"mean, std: expected three numbers each, std above 0, got {self.mean} and {self.std}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preprocessing:
        """The inverse of ``to_dict``.

        Raises:
            TypeError: an unknown or missing field.
            ValueError: a value out of range.
        """
        return cls(**{**fields, "mean": tuple(fields["mean"]), "std": tuple(fields["std"])})

    def fingerprint(self, pixel_rule: Literal["upright", "published"] = "published") -> str:
        """sha256 of the fields and of the rule by which pixels are read from files.

        Codes of images that were prepared differently do not belong together. The rule "published" adds nothing to the
        fields, "upright" its name and the size at which large files are decoded.
        """
        rule = {} if pixel_rule == "published" else {"pixel_rule": pixel_rule, "least_side": self.least_side}
        fields = self.to_dict() | rule
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def resized_side(self) -> int:
        """Pixels of the shorter side from which the square is cropped."""
        return round(self.image_size / self.crop_pct)

    @property
    def least_side(self) -> int:
        """Pixels of the shorter side, at least, at which evaluation needs an image: see ``read_image``."""
        return MARGIN * self.resized_side

    def resize(self, images: Tensor, side: int) -> Tensor:
        """uint8 (..., 3, h, w) with its shorter side resized to ``side``; the longer keeps the proportion."""
        height, width = images.shape[-2:]
        if min(height, width) == side:
            return images
        mode = InterpolationMode(self.interpolation)
        size = [round(height * side / min(height, width)), round(width * side / min(height, width))]
        resized: Tensor = pixels.resize(images, size, interpolation=mode, antialias=True)
        return resized

    def square(self, images: Tensor) -> Tensor:
        """uint8 (..., 3, h, w) -> uint8 (..., 3, image_size, image_size): resized and center cropped."""
        height, width = images.shape[-2:]
        straight = height == width < self.image_size
        side = self.image_size if straight else self.resized_side
        images = self.resize(images, side)
        top, left = ((extent - self.image_size) // 2 for extent in images.shape[-2:])
        return images[..., top : top + self.image_size, left : left + self.image_size]

    def cut(self, images: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
        """uint8 (..., 3, h, w) -> uint8 (..., 3, image_size, image_size): a rectangle, resized to the square."""
        part: Tensor = pixels.resized_crop(
            images,
            top,
            left,
            height,
            width,
            size=[self.image_size, self.image_size],
            interpolation=InterpolationMode(self.interpolation),
            antialias=True,
        )
        return part

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 (..., 3, h, w) -> float32 of the same shape, on the scale that the backbone expects."""
        scale, shift = _affine(self.mean, self.std, images.device)
        return images.to(torch.float32).mul_(scale).sub_(shift)

    def prepare(self, images: Tensor) -> Tensor:
        """Evaluation pixels: uint8 (..., 3, h, w) -> float32 (..., 3, image_size, image_size).

        Raises:
            TypeError: pixels that are not uint8.
            ValueError: a shape without three channels.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"images: expected uint8 pixels, got {images.dtype}")
        if images.ndim < 3 or images.shape[-3] != 3:
            raise ValueError(f"images: expected shape (..., 3, h, w), got {tuple(images.shape)}")
        return self.normalize(self.square(images))


@lru_cache
def _affine(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift of uint8 pixels, (3, 1, 1) each.

    Cached, because copies to a GPU synchronize with it.
    """
    with torch.inference_mode(mode=False):  # of use outside it too
        scale = torch.tensor([1 / (255 * s) for s in std], device=device)[:, None, None]
        shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=device)[:, None, None]
    return scale, shift


def to_tensor(image: Image) -> Tensor:
    """A Pillow image of any mode as uint8 (3, h, w), red, green, blue."""
    tensor: Tensor = pixels.pil_to_tensor(image.convert("RGB"))
    return tensor
