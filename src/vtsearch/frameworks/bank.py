"""A memory bank: the last features of the whole training set, to pair each batch with all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from vtsearch.tensors.distributed import gather_batch

if TYPE_CHECKING:
    from torch import Tensor


class Bank(nn.Module):
    """The last features and labels of each training image, and a mask of the images seen so far.

    The bank stores the batches of all processes, so it is the same in each of them.

    Args:
        train_size: number of training images.
        bits: length of the features.
        classes: number of label columns.
    """

    features: Tensor
    labels: Tensor
    seen: Tensor

    def __init__(self, train_size: int, bits: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("features", torch.zeros(train_size, bits))
        self.register_buffer("labels", torch.zeros(train_size, classes))
        self.register_buffer("seen", torch.zeros(train_size, dtype=torch.bool))

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor, positions: Tensor) -> None:
        """Overwrite the rows at ``positions`` (b,) with features (b, bits) and labels (b, classes)."""
        features, labels, positions = (gather_batch(part.detach()) for part in (features, labels, positions))
        features = features[_first_of_each(positions)]
        self.features[positions] = features.to(self.features.dtype)
        self.labels[positions] = labels.to(self.labels.dtype)
        self.seen[positions] = True


def _first_of_each(positions: Tensor) -> Tensor:
    """(b,) index of the first element with the same position: of rows written twice, the device would choose one."""
    return (positions[:, None] == positions).int().argmax(dim=1)
