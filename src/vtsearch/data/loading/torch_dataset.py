"""The images of a split as a torch data set that reads and transforms whole batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from vtsearch.data.loading.augmentation import DRAWS, Augment, check_augment, randomize
from vtsearch.data.loading.image_cache import Reader, reader_of
from vtsearch.data.sources.image_source import PixelSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.tensors.preprocessing import Preprocessing

T = TypeVar("T")


class ImageBatch(NamedTuple):
    """A batch of a training step; a single item lacks the first dimension."""

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
        augment: an ``Augment``; evaluation and encoding use "none".
        seed: of the random choices.

    Raises:
        ValueError: an unknown ``augment``, a position outside the source, or a class number that has no name.
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
        labels = torch.from_numpy(_checked(source.labels[positions], len(source.classes)))
        self.labels = labels if labels.ndim == 1 else labels.float()
        epoch: Any = torch.zeros((), dtype=torch.int64)
        self._epoch: Tensor = epoch.share_memory_()  # seen by workers that outlive an epoch
        self._draws: tuple[int, Tensor] | None = None
        self._origin = reader_of(source, positions, preprocessing, augment)
        self._reader: Reader = self._origin
        self.device = torch.device("cpu")
        """Where batches are made."""

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def is_held(self) -> bool:
        """Whether the images are decoded and held, so that a loading process has nothing to do."""
        return self._reader is not self._origin

    @property
    def is_decoded(self) -> bool:
        """Whether the source itself keeps its images decoded in memory."""
        return isinstance(self.source, PixelSource)

    def decoded_bytes(self) -> int:
        """Approximate size in bytes of all images, decoded and resized for augmentation."""
        return self._origin.decoded_bytes()

    def hold(
        self, device: torch.device, *, threads: int = 1, progress: Callable[[int], object] = lambda _: None
    ) -> None:
        """Decode all images now and keep them, uint8, on a device, where batches are made from now on.

        The same random choices are applied to the same pixels as without it. Only where a source has images of one
        size and the device is not the CPU may a pixel differ by rounding: there it is also the device that resizes.

        Args:
            device: where to.
            threads: that decode.
            progress: called with the number of images decoded since the last call.
        """
        self._reader = self._origin.hold(device, threads, progress)
        self.device = device

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
        settled, draws = self._reader.read(index), self._epoch_draws()[index]
        images = randomize(settled, self.preprocessing, self.augment, draws)  # (b, 3, image_size, image_size) uint8
        return ImageBatch(self.preprocessing.normalize(images), self.labels[index], index)

    def _epoch_draws(self) -> Tensor:
        epoch = int(self._epoch)
        if self._draws is None or self._draws[0] != epoch:
            random = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            self._draws = (epoch, torch.from_numpy(random.random((len(self), DRAWS[self.augment]), dtype=np.float32)))
        return self._draws[1]


def _checked(labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """A copy of the labels; class numbers are looked at here, on the host: on a device, looking is waiting.

    A source without classes has no labels to train with.
    """
    if classes and labels.ndim == 1 and len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels: expected 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    return np.array(labels)


def whole_batch(batch: T) -> T:
    """The ``collate_fn`` for ``ImageDataset``: it already made the batch."""
    return batch
