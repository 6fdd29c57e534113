"""The images of a split as a torch data set that reads and transforms whole batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from vtsearch.data.loading.augmentation import DRAWS, Augmentation
from vtsearch.data.loading.image_cache import Reader, reader_of
from vtsearch.data.sources.image_source import PixelSource, classes_of, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data.sources.image_source import ImageItems
    from vtsearch.tensors.preprocessing import Preprocessing

T = TypeVar("T")


class ImageBatch(NamedTuple):
    """A batch of a training step; a single item lacks the first dimension."""

    images: Tensor
    """uint8 (b, 3, image_size, image_size), not normalized yet: that is done on the device, which so gets a quarter of
    the bytes."""
    labels: Tensor
    """int64 (b,), or float32 0/1 (b, classes)."""
    positions: Tensor
    """int64 (b,): rows in this data set, 0 to its length - 1; indices into a framework's bank."""
    # b counts views: with two of each image, the first views of all come first, then the second ones


class ImageDataset(Dataset[ImageBatch]):
    """Some positions of an image source, as pixels for one model.

    A torch ``DataLoader`` fetches a whole batch at once when it is built with ``collate_fn=whole_batch``; that is
    much faster than item by item and gives the same pixels. Random choices depend on ``(seed, epoch, row, view)``
    alone: not on the order, the batch, the worker or the process, and not on whether training was interrupted.

    Args:
        source: the images.
        positions: int64 (n,) in the source.
        preprocessing: of the model.
        augment: "none", as in evaluation and encoding, or what ``Augmentation.parsed`` reads.
        seed: of the random choices.
        views: of each image in a batch, each with random choices of its own; an item has the first alone.

    Raises:
        ValueError: an ``augment`` that cannot be read, a position outside the source, or a class number without a name.
    """

    def __init__(
        self,
        source: ImageItems,
        positions: NDArray[np.int64],
        preprocessing: Preprocessing,
        *,
        augment: str = "none",
        seed: int = 0,
        views: int = 1,
    ) -> None:
        self.augmentation = Augmentation.parsed(augment)
        positions = np.asarray(positions, dtype=np.int64)
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(source):
            raise ValueError(f"positions: expected 0 to {len(source) - 1}, got {positions.min()} to {positions.max()}")
        self.source = source
        self.positions = positions
        self.preprocessing = preprocessing
        self.seed = seed
        self.views = views
        labels = torch.from_numpy(_checked(labels_of(source)[positions], len(classes_of(source))))
        self.labels = labels if labels.ndim == 1 else labels.float()
        epoch: Any = torch.zeros((), dtype=torch.int64)
        self._epoch: Tensor = epoch.share_memory_()  # shared with persistent workers
        self._draws: tuple[int, list[Tensor]] | None = None
        self._origin = reader_of(source, positions, preprocessing, self.augmentation)
        self._reader: Reader = self._origin
        self.device = torch.device("cpu")
        """The device of the batches."""

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def is_held(self) -> bool:
        """Whether the images are cached, so that loading processes are not needed."""
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
        """Decode all images and cache them, uint8, on a device; later batches are made there.

        Pixels and random choices are the same as without the cache, except for sources of equally sized images on
        another device than the CPU: resizing on that device may round a pixel differently.

        Args:
            device: of the cache.
            threads: number of decoding threads.
            progress: called with the number of images decoded since the last call.
        """
        self._reader = self._origin.hold(device, threads, progress)
        self.device = device

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the random choices; to be called before the first batch of each epoch."""
        self._epoch.fill_(epoch)

    def __getitem__(self, row: int) -> ImageBatch:
        if not 0 <= row < len(self):
            raise IndexError(row)
        return ImageBatch(*(part[0] for part in self.__getitems__([row])))

    def __getitems__(self, rows: Sequence[int]) -> ImageBatch:
        """The batch of the given rows, in their order, once for each view.

        A row plus a multiple of ``len(self)`` is the same image with other random choices, for epochs that repeat it.
        """
        index = torch.as_tensor(rows, dtype=torch.int64)
        pixels, index = self.pixels(index), (index % len(self)).repeat(self.views)
        return ImageBatch(pixels, self.labels[index], index)

    def pixels(self, rows: Tensor) -> Tensor:
        """uint8 (b * views, 3, image_size, image_size): the images of rows, int64 (b,)."""
        resized = self._reader.read(rows % len(self))
        views = [self.augmentation.apply(resized, self.preprocessing, draws) for draws in self._draws_of(rows)]
        return views[0] if len(views) == 1 else torch.cat(views)

    def _draws_of(self, rows: Tensor) -> list[Tensor]:
        """For each view (b, DRAWS) random numbers of rows, repeats included."""
        repeated = (rows >= len(self)).nonzero().flatten().tolist()
        found = [draws[rows % len(self)] for draws in self._epoch_draws()]
        for view, draws in enumerate(found):
            for at in repeated:
                seed = [self.seed, int(self._epoch), int(rows[at]), *([view] if view else [])]
                draws[at] = torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).random(DRAWS))
        return found

    def _epoch_draws(self) -> list[Tensor]:
        """The random numbers of all rows in this epoch, (n, ``DRAWS``) for each view."""
        epoch = int(self._epoch)
        if self._draws is None or self._draws[0] != epoch:
            seeds = [[self.seed, epoch, *([view] if view else [])] for view in range(self.views)]
            randoms = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
            self._draws = (epoch, [torch.from_numpy(random.random((len(self), DRAWS))) for random in randoms])
        return self._draws[1]


def _checked(labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """A copy of the labels, with class numbers checked on the CPU: a check on a device would force a synchronization.

    The labels of a source without classes are not checked.
    """
    if classes and labels.ndim == 1 and len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels: expected 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    return np.array(labels)


def whole_batch(batch: T) -> T:
    """The ``collate_fn`` for ``ImageDataset``, the identity: its items are batches already."""
    return batch
