"""The images of a split as a torch data set that reads and transforms whole batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from vtsearch.data.sources import PixelSource
from vtsearch.data.transforms import DRAWS, Augment, augment_square, check_augment
from vtsearch.preprocessing import to_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data.sources import ImageSource
    from vtsearch.preprocessing import Preprocessing

T = TypeVar("T")


class ImageBatch(NamedTuple):
    """What a step of training needs; of a single item, the same without the first dimension."""

    images: Tensor
    """float32 (b, 3, image_size, image_size), normalized."""
    labels: Tensor
    """int64 (b,), or float32 0/1 (b, classes)."""
    positions: Tensor
    """int64 (b,): rows in this data set, 0 to its length - 1; what a framework's bank is indexed by."""


class ImageDataset(Dataset[ImageBatch]):
    """Some positions of an image source, as pixels for one model.

    A torch ``DataLoader`` fetches a whole batch at once when it is built with ``collate_fn=whole_batch``; that is
    much faster than item by item and gives the same pixels. Random choices depend on ``(seed, epoch, row)`` alone: not
    on the order, the batch, the worker or the process, and not on whether training was interrupted.

    Args:
        source: where the images are.
        positions: int64 (n,) in the source.
        preprocessing: of the model that sees them.
        augment: "none", "flip" or "flip+crop"; evaluation and encoding use "none".
        seed: of the random choices.

    Raises:
        ValueError: an unknown ``augment``, or a position outside the source.
    """

    def __init__(
        self,
        source: ImageSource,
        positions: NDArray[np.int64],
        preprocessing: Preprocessing,
        *,
        augment: Augment = "none",
        seed: int = 0,
    ) -> None:
        check_augment(augment)
        positions = np.asarray(positions, dtype=np.int64)
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(source):
            raise ValueError(f"positions: expected 0 to {len(source) - 1}, got {positions.min()} to {positions.max()}")
        self.source = source
        self.positions = positions
        self.preprocessing = preprocessing
        self.augment: Augment = augment
        self.seed = seed
        labels = torch.from_numpy(np.array(source.labels[positions]))
        self.labels = labels if labels.ndim == 1 else labels.float()
        epoch: Any = torch.zeros((), dtype=torch.int64)
        self._epoch: Tensor = epoch.share_memory_()  # seen by workers that outlive an epoch
        self._draws: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def set_epoch(self, epoch: int) -> None:
        """Draw the random choices of that epoch from now on; call it before the epoch's first batch."""
        self._epoch.fill_(epoch)

    def __getitem__(self, row: int) -> ImageBatch:
        if not 0 <= row < len(self):
            raise IndexError(row)
        return ImageBatch(*(part[0] for part in self.__getitems__([row])))

    def __getitems__(self, rows: Sequence[int]) -> ImageBatch:
        """The batch of some rows, in their order."""
        index = torch.as_tensor(rows, dtype=torch.int64)
        images = self._square(index)  # (b, 3, image_size, image_size) uint8
        return ImageBatch(self.preprocessing.normalize(images), self.labels[index], index)

    def _square(self, rows: Tensor) -> Tensor:
        positions = self.positions[rows.numpy()]
        draws = self._epoch_draws()[rows]
        if isinstance(self.source, PixelSource):
            images = torch.from_numpy(self.source.pixels(positions))
            return augment_square(images, self.preprocessing, self.augment, draws)
        return torch.cat(
            [
                augment_square(to_tensor(self.source.load(int(position)))[None], self.preprocessing, self.augment, draw)
                for position, draw in zip(positions, draws[:, None], strict=True)
            ]
        )

    def _epoch_draws(self) -> Tensor:
        epoch = int(self._epoch)
        if self._draws is None or self._draws[0] != epoch:
            random = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            self._draws = (epoch, torch.from_numpy(random.random((len(self), DRAWS), dtype=np.float32)))
        return self._draws[1]


def whole_batch(batch: T) -> T:
    """The ``collate_fn`` for ``ImageDataset``: it already made the batch."""
    return batch
