"""Pixels for training: the evaluation pixels, or randomly flipped and cropped ones, drawn from given numbers.

The random numbers come in as an array, so that the same item of the same epoch is cropped alike in every process, in
every batch and after a resume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from vtsearch.tensors.preprocessing import Preprocessing

Augment = Literal["none", "flip", "flip+crop", "flip+resized_crop"]
TRAIN_CROP = 224 / 256  # the published training crop of the list-file data sets
AREAS, SHAPES = (0.08, 1.0), (3 / 4, 4 / 3)  # of a resized crop: share of the image, width to height
DRAWS = {"none": 3, "flip": 3, "flip+crop": 3, "flip+resized_crop": 5}  # random numbers per item


def check_augment(augment: str) -> None:
    """Raises: ValueError: a name that is not in the table."""
    if augment not in get_args(Augment):
        raise ValueError(f"augment: expected one of {', '.join(get_args(Augment))}, got {augment!r}")


def settle(images: Tensor, preprocessing: Preprocessing, augment: Augment) -> Tensor:
    """The deterministic part of the augmentation: uint8 (..., 3, h, w), resized or already the finished square.

    Args:
        images: uint8 (..., 3, h, w) of one size.
        preprocessing: of the model that is trained.
        augment: "none" (evaluation's pixels), "flip" (half of them mirrored), "flip+crop" (also: the shorter side
            resized to ``image_size * 256 / 224`` and a random square kept), or "flip+resized_crop" (also: a rectangle
            of 8 to 100 % of the image, 3:4 to 4:3, resized to the square; Szegedy et al., Going deeper with
            convolutions, CVPR 2015).
    """
    if augment == "flip+resized_crop":  # the random rectangle may be any part of the image
        return images
    if augment == "flip+crop":
        return preprocessing.resize(images, round(preprocessing.image_size / TRAIN_CROP))
    return preprocessing.square(images)


def randomize(
    settled: Tensor | Sequence[Tensor], preprocessing: Preprocessing, augment: Augment, draws: Tensor
) -> Tensor:
    """The random part of the augmentation, on the device of the images: uint8 (b, 3, image_size, image_size).

    Args:
        settled: the result of ``settle``, a batch, or a list of images of different sizes.
        preprocessing: of the model that is trained.
        augment: as before.
        draws: (b, ``DRAWS[augment]``) uniform in [0, 1), on the CPU.
    """
    cut = CUTS.get(augment)
    if cut is not None:
        settled = [cut(image, preprocessing, draw) for image, draw in zip(settled, draws[:, 1:], strict=True)]
    images = settled if isinstance(settled, torch.Tensor) else torch.stack(list(settled))
    if augment == "none":
        return images
    mirrored = (draws[:, 0] < 0.5)[:, None, None, None].to(images.device, non_blocking=True)
    return torch.where(mirrored, images.flip(-1), images)


def _square(image: Tensor, preprocessing: Preprocessing, draw: Tensor) -> Tensor:
    """The square (3, image_size, image_size) of an image (3, h, w) that two numbers in [0, 1) choose."""
    size = preprocessing.image_size
    room = torch.tensor([image.shape[-2] - size + 1, image.shape[-1] - size + 1])
    top, left = (draw * room).long().minimum(room - 1).tolist()  # float32 rounding may reach the room itself
    return image[:, top : top + size, left : left + size]


def _rectangle(image: Tensor, preprocessing: Preprocessing, draw: Tensor) -> Tensor:
    """The part of an image (3, h, w) that four numbers in [0, 1) choose, squeezed into the square.

    A rectangle that does not fit into the image is cut down to what does.
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
