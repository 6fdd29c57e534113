"""Pixels for training: the evaluation pixels, or randomly flipped and cropped ones, drawn from given numbers.

The random numbers come in as an array, so that the same item of the same epoch is cropped alike in every process, in
every batch and after a resume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

if TYPE_CHECKING:
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
    if augment == "none":
        return preprocessing.square(images)
    images = _random_square(images, preprocessing, draws) if augment == "flip+crop" else preprocessing.square(images)
    mirrored = (draws[:, 0] < 0.5)[:, None, None, None]
    return torch.where(mirrored, images.flip(-1), images)


def _random_square(images: Tensor, preprocessing: Preprocessing, draws: Tensor) -> Tensor:
    size = preprocessing.image_size
    images = preprocessing.resize(images, round(size / TRAIN_CROP))
    room = torch.tensor([images.shape[-2] - size + 1, images.shape[-1] - size + 1])
    corners = (draws[:, 1:] * room).long().minimum(room - 1).tolist()  # float32 rounding may reach the room itself
    cut = [image[:, top : top + size, left : left + size] for image, (top, left) in zip(images, corners, strict=True)]
    return torch.stack(cut)
