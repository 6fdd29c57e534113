"""Augmentation of training images: random flips and crops of evaluation pixels, from given random numbers.

The random numbers are an argument, so the crop of an item in an epoch is the same in every process, in every batch and
after a resume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

from vtsearch.tensors.preprocessing import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from vtsearch.tensors.preprocessing import Preprocessing

Augment = Literal["none", "flip", "flip+crop", "flip+resized_crop"]
TRAIN_CROP = 224 / 256  # the published training crop of the list-file data sets
AREAS, SHAPES = (0.08, 1.0), (3 / 4, 4 / 3)  # of a resized crop: share of the image, width to height
DRAWS = {"none": 3, "flip": 3, "flip+crop": 3, "flip+resized_crop": 5}  # random numbers per item


def check_augment(augment: str) -> None:
    """Refuse an unknown augmentation.

    Raises:
        ValueError: lists the known ones.
    """
    if augment not in get_args(Augment):
        raise ValueError(f"augment: expected one of {', '.join(get_args(Augment))}, got {augment!r}")


def resize_for_augmentation(images: Tensor, preprocessing: Preprocessing, augment: Augment) -> Tensor:
    """Images (..., 3, h, w) resized as the augmentation needs them before its random part: uint8.

    Args:
        images: uint8 (..., 3, h, w) of one size.
        preprocessing: of the trained model.
        augment: "none" (evaluation's pixels), "flip" (half of them mirrored), "flip+crop" (also: the shorter side
            resized to ``image_size * 256 / 224`` and a random square kept), or "flip+resized_crop" (also: a rectangle
            of 8 to 100 % of the image, 3:4 to 4:3, resized to the square; Szegedy et al., Going deeper with
            convolutions, CVPR 2015).
    """
    if augment == "flip+resized_crop":  # the random rectangle may be any part of the image
        return images
    if augment == "flip+crop":
        return preprocessing.resize(images, _crop_side(preprocessing))
    return preprocessing.square(images)


def least_side_for(preprocessing: Preprocessing, augment: Augment) -> int | None:
    """The shorter side, at least, at which ``resize_for_augmentation`` needs a large image; None if it needs all of it.

    Args:
        preprocessing: of the model.
        augment: as for ``resize_for_augmentation``.
    """
    if augment == "flip+resized_crop":
        return None
    return MARGIN * _crop_side(preprocessing) if augment == "flip+crop" else preprocessing.least_side


def _crop_side(preprocessing: Preprocessing) -> int:
    return round(preprocessing.image_size / TRAIN_CROP)


def random_flip_and_crop(
    resized: Tensor | Sequence[Tensor], preprocessing: Preprocessing, augment: Augment, draws: Tensor
) -> Tensor:
    """Randomly cropped and mirrored images: uint8 (b, 3, image_size, image_size), on the device of the input.

    Args:
        resized: the result of ``resize_for_augmentation``, a batch, or a list of images of different sizes.
        preprocessing: of the trained model.
        augment: as for ``resize_for_augmentation``.
        draws: (b, ``DRAWS[augment]``) uniform in [0, 1), on the CPU.
    """
    cut = CUTS.get(augment)
    if cut is not None:
        resized = [cut(image, preprocessing, draw) for image, draw in zip(resized, draws[:, 1:], strict=True)]
    images = resized if isinstance(resized, torch.Tensor) else torch.stack(list(resized))
    if augment == "none":
        return images
    mirrored = (draws[:, 0] < 0.5)[:, None, None, None].to(images.device, non_blocking=True)
    return torch.where(mirrored, images.flip(-1), images)


def _square(image: Tensor, preprocessing: Preprocessing, draw: Tensor) -> Tensor:
    """The square (3, image_size, image_size) of an image (3, h, w) at a position given by two numbers in [0, 1)."""
    size = preprocessing.image_size
    room = torch.tensor([image.shape[-2] - size + 1, image.shape[-1] - size + 1])
    top, left = (draw * room).long().minimum(room - 1).tolist()  # float32 rounding may reach the room itself
    return image[:, top : top + size, left : left + size]


def _rectangle(image: Tensor, preprocessing: Preprocessing, draw: Tensor) -> Tensor:
    """A rectangle of an image (3, h, w) given by four numbers in [0, 1), resized to the square.

    A rectangle larger than the image is cut to its height or width.
    """
    (height, width), (down, across, area, shape) = image.shape[-2:], draw.tolist()
    pixels = (AREAS[0] + area * (AREAS[1] - AREAS[0])) * height * width
    proportion = SHAPES[0] * (SHAPES[1] / SHAPES[0]) ** shape
    tall = min(max(round((pixels / proportion) ** 0.5), 1), height)
    wide = min(max(round((pixels * proportion) ** 0.5), 1), width)
    top, left = int(down * (height - tall + 1)), int(across * (width - wide + 1))
    return preprocessing.cut(image, top, left, tall, wide)


CUTS: Mapping[str, Callable[[Tensor, Preprocessing, Tensor], Tensor]] = {
    "flip+crop": _square,
    "flip+resized_crop": _rectangle,
}
