"""Augmentation of training images: random flips, crops and distortions of evaluation pixels, from given random numbers.

The random numbers are an argument, so what an item goes through in an epoch is the same in every process, in every
batch and after a resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torchvision.transforms import v2

from vtsearch.tensors.preprocessing import MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from vtsearch.tensors.preprocessing import Preprocessing

TRAIN_CROP = 224 / 256  # the published training crop of the list-file data sets
LEAST_AREA, SHAPES = 0.08, (3 / 4, 4 / 3)  # of a resized crop: share of the image, width to height
DRAWS = 6  # random numbers per item: mirrored or not, four for the crop, one for the seed of the distortions
ERASED = 0.25  # share of the images that lose a rectangle
SMOOTH = v2.InterpolationMode.BILINEAR  # of operations on shapes

CROPS = ("crop", "resized_crop")
POLICIES = ("rand", "trivial")
PARTS = ("flip", *CROPS, *POLICIES, "erasing")
MILDER = "resized_crop:"  # before the least area


@dataclass(frozen=True)
class Augmentation:
    """What a training image goes through, in this order; ``parsed`` reads it from text."""

    crop: str = ""
    """"crop": the shorter side is resized to ``image_size * 256 / 224`` and a random square kept. "resized_crop": a
    rectangle of the image, 3:4 to 4:3, resized to the square (Szegedy et al., Going deeper with convolutions, CVPR
    2015). Empty: evaluation's pixels."""
    least_area: float = LEAST_AREA
    """The smallest share of the image that "resized_crop" keeps; the largest is all of it."""
    flip: bool = False
    """Half of the images are mirrored."""
    policy: str = ""
    """"rand": two operations on colors or shape (Cubuk et al., RandAugment, NeurIPS 2020, magnitude 9 of 30);
    "trivial": one, of random strength (Müller and Hutter, TrivialAugment, ICCV 2021)."""
    erasing: bool = False
    """A quarter of the images loses a rectangle of 2 to 33 % to the mean color (Zhong et al., Random Erasing, AAAI
    2020)."""

    @classmethod
    def parsed(cls, text: str) -> Augmentation:
        """Read "none", or parts joined by a plus: flip, crop or resized_crop, rand or trivial, erasing.

        "resized_crop:0.35" is one with that ``least_area``.

        Raises:
            ValueError: an unknown part, the same one twice, two crops or two policies; an area that is no share.
        """
        written = [] if text == "none" else str(text).split("+")
        areas = [part.removeprefix(MILDER) for part in written if part.startswith(MILDER)]
        parts = ["resized_crop" if part.startswith(MILDER) else part for part in written]
        groups = [[part for part in parts if part in kind] for kind in (("flip",), CROPS, POLICIES, ("erasing",))]
        if not set(parts) <= set(PARTS) or any(len(group) > 1 for group in groups):
            raise ValueError(
                f"augment: expected none, or joined by + any of flip, one of {' and '.join(CROPS)}, "
                f"one of {' and '.join(POLICIES)}, erasing; got {text!r}"
            )
        flip, crop, policy, erasing = groups
        least_area = _share(areas[0]) if areas else LEAST_AREA
        return cls("".join(crop), least_area, flip=bool(flip), policy="".join(policy), erasing=bool(erasing))

    def resize(self, images: Tensor, preprocessing: Preprocessing) -> Tensor:
        """Images resized as the random part needs them.

        Args:
            images: uint8 (..., 3, h, w) of one size.
            preprocessing: of the trained model.
        """
        if self.crop == "resized_crop":  # the random rectangle may be any part of the image
            return images
        if self.crop == "crop":
            return preprocessing.resize(images, _crop_side(preprocessing))
        return preprocessing.square(images)

    def least_side(self, preprocessing: Preprocessing) -> int | None:
        """The shorter side, at least, at which ``resize`` needs a large image; None if it needs all of it."""
        if self.crop == "resized_crop":
            return None
        return MARGIN * _crop_side(preprocessing) if self.crop == "crop" else preprocessing.least_side

    def apply(self, resized: Tensor | Sequence[Tensor], preprocessing: Preprocessing, draws: Tensor) -> Tensor:
        """The random part: uint8 (b, 3, image_size, image_size), on the device of the input.

        Args:
            resized: results of ``resize``, a batch, or a list of images of different sizes.
            preprocessing: of the trained model.
            draws: (b, ``DRAWS``) float64, uniform in [0, 1), on the CPU.
        """
        if self.crop:
            resized = [
                self._cut(image, preprocessing, draw) for image, draw in zip(resized, draws[:, 1:5], strict=True)
            ]
        images = resized if isinstance(resized, torch.Tensor) else torch.stack(list(resized))
        if self.flip:
            mirrored = (draws[:, 0] < 0.5)[:, None, None, None].to(images.device, non_blocking=True)
            images = torch.where(mirrored, images.flip(-1), images)
        return self._distort(images, preprocessing, draws[:, 5]) if self.policy or self.erasing else images

    def _cut(self, image: Tensor, preprocessing: Preprocessing, draw: Tensor) -> Tensor:
        """An image of any size (3, h, w), cut to the square by four numbers in [0, 1)."""
        if self.crop == "crop":
            return _square(image, preprocessing, draw)
        return _rectangle(image, preprocessing, draw, self.least_area)

    def _distort(self, images: Tensor, preprocessing: Preprocessing, draws: Tensor) -> Tensor:
        """Images after policy and erasing, each with a seed of its own, as these draw from torch's own generator."""
        distort = _distortions(self.policy, self.erasing, preprocessing.mean)
        changed = []
        with torch.random.fork_rng(devices=[]):
            for image, seed in zip(images, (draws * 2**53).long().tolist(), strict=True):
                torch.default_generator.manual_seed(seed)
                changed.append(distort(image))
        return torch.stack(changed) if changed else images


def _share(text: str) -> float:
    """The number of a share of an image.

    Raises:
        ValueError: not above 0 and below 1.
    """
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise ValueError(f"augment: expected a share of the image above 0 and below 1 after {MILDER!r}, got {text!r}")
    return share


@cache
def _distortions(policy: str, erasing: bool, mean: tuple[float, ...]) -> v2.Compose:
    """What follows crop and flip; what an operation uncovers and what is erased has the mean color."""
    fill = [round(255 * channel) for channel in mean]
    steps: list[torch.nn.Module] = []
    if policy == "rand":
        steps.append(v2.RandAugment(interpolation=SMOOTH, fill=fill))
    if policy == "trivial":
        steps.append(v2.TrivialAugmentWide(interpolation=SMOOTH, fill=fill))
    if erasing:
        steps.append(v2.RandomErasing(p=ERASED, value=fill))
    return v2.Compose(steps)


def _crop_side(preprocessing: Preprocessing) -> int:
    return round(preprocessing.image_size / TRAIN_CROP)


def _square(image: Tensor, preprocessing: Preprocessing, draw: Tensor) -> Tensor:
    """The square (3, image_size, image_size) of an image (3, h, w) at a position given by two numbers in [0, 1)."""
    size = preprocessing.image_size
    room = torch.tensor([image.shape[-2] - size + 1, image.shape[-1] - size + 1])
    top, left = (draw[:2] * room).long().minimum(room - 1).tolist()  # rounding may reach the room itself
    return image[:, top : top + size, left : left + size]


def _rectangle(image: Tensor, preprocessing: Preprocessing, draw: Tensor, least_area: float) -> Tensor:
    """A rectangle of an image (3, h, w) given by four numbers in [0, 1), resized to the square.

    A rectangle larger than the image is cut to its height or width.
    """
    (height, width), (down, across, area, shape) = image.shape[-2:], draw.tolist()
    pixels = (least_area + area * (1 - least_area)) * height * width
    proportion = SHAPES[0] * (SHAPES[1] / SHAPES[0]) ** shape
    tall = min(max(round((pixels / proportion) ** 0.5), 1), height)
    wide = min(max(round((pixels * proportion) ** 0.5), 1), width)
    top, left = int(down * (height - tall + 1)), int(across * (width - wide + 1))
    return preprocessing.cut(image, top, left, tall, wide)
