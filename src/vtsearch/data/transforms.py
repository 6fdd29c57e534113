"""Pixels for training: the evaluation pixels, or randomly flipped and cropped ones, drawn from given numbers.

The random numbers come in as an array, so that the same item of the same epoch is cropped alike in every process, in
every batch and after a resume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from vtsearch.preprocessing import Preprocessing

Augment = Literal["none", "flip", "flip+crop"]
TRAIN_CROP = 224 / 256  # the published training crop of the list-file data sets
DRAWS = 3  # random numbers per item: flip, top, left


def check_augment(augment: str) -> None:
    """Raises: ValueError: a name that is not in the table."""
    if augment not in get_args(Augment):
        raise ValueError(f"augment: expected one of {', '.join(get_args(Augment))}, got {augment!r}")


def augment_square(images: Tensor, preprocessing: Preprocessing, augment: Augment, draws: Tensor) -> Tensor:
    """uint8 (b, 3, h, w) -> uint8 (b, 3, image_size, image_size) for training.

    Args:
        images: a batch of one size.
        preprocessing: of the model that is trained.
        augment: "none" (evaluation's pixels), "flip" (half of them mirrored), or "flip+crop" (also: the shorter side
            resized to ``image_size * 256 / 224`` and a random square kept).
        draws: (b, 3) uniform in [0, 1): flip, top, left.
    """
    return randomize(settle(images, preprocessing, augment), preprocessing, augment, draws)


def settle(images: Tensor, preprocessing: Preprocessing, augment: Augment) -> Tensor:
    """The part of it that chance has no say in: uint8 (..., 3, h, w), resized or already the finished square."""
    if augment == "flip+crop":
        return preprocessing.resize(images, round(preprocessing.image_size / TRAIN_CROP))
    return preprocessing.square(images)


def randomize(
    settled: Tensor | Sequence[Tensor], preprocessing: Preprocessing, augment: Augment, draws: Tensor
) -> Tensor:
    """The other part, on the device where the images are: uint8 (b, 3, image_size, image_size).

    Args:
        settled: what ``settle`` gave, as a batch or, if their sizes differ, one by one.
        preprocessing: of the model that is trained.
        augment: as before.
        draws: (b, 3) uniform in [0, 1), on the CPU: flip, top, left.
    """
    size = preprocessing.image_size
    if augment == "flip+crop":
        settled = [_cut(image, size, draw) for image, draw in zip(settled, draws[:, 1:], strict=True)]
    images = settled if isinstance(settled, torch.Tensor) else torch.stack(list(settled))
    if augment == "none":
        return images
    mirrored = (draws[:, 0] < 0.5)[:, None, None, None].to(images.device, non_blocking=True)
    return torch.where(mirrored, images.flip(-1), images)


def _cut(image: Tensor, size: int, draw: Tensor) -> Tensor:
    """The square (3, size, size) of an image (3, h, w) that two numbers in [0, 1) choose."""
    room = torch.tensor([image.shape[-2] - size + 1, image.shape[-1] - size + 1])
    top, left = (draw * room).long().minimum(room - 1).tolist()  # float32 rounding may reach the room itself
    return image[:, top : top + size, left : left + size]
