"""Where the pixels of a training set come from: read anew for each batch, or decoded once and held on a device.

Either way a batch is the same: what ``transforms.settle`` makes of the images, before chance has its say.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch

from vtsearch.data.loading.augmentation import Augment, settle
from vtsearch.data.sources.image_source import PixelSource
from vtsearch.tensors.preprocessing import to_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.tensors.preprocessing import Preprocessing

    Settle = Callable[[Tensor], Tensor]

SAMPLE = 32  # images that tell how large all of them are


class Reader(Protocol):
    """Gives the settled images of some rows, uint8: (b, 3, h, w), or (3, h, w) each if their sizes differ."""

    def read(self, rows: Tensor) -> Tensor | Sequence[Tensor]:
        """The images of rows, int64 (b,) on the CPU."""


class FileReader:
    """Opens and decodes each image every time."""

    def __init__(self, source: ImageSource, positions: NDArray[np.int64], settle: Settle) -> None:
        self._source, self._positions, self._settle = source, positions, settle

    def read(self, rows: Tensor) -> list[Tensor]:
        """(3, h, w) each."""
        return [self.one(row) for row in rows.tolist()]

    def one(self, row: int) -> Tensor:
        """(3, h, w)."""
        return self._settle(to_tensor(self._source.load(int(self._positions[row]))))

    def decoded_bytes(self) -> int:
        """About what all images take once they are decoded and settled."""
        n = len(self._positions)
        sample = range(0, n, max(1, n // SAMPLE))
        return sum(self.one(row).nbytes for row in sample) * n // max(len(sample), 1)

    def hold(self, device: torch.device, threads: int, progress: Callable[[int], object]) -> HeldImages:
        """All images, decoded now by some threads."""
        held = []
        with ThreadPoolExecutor(threads) as pool:
            for image in pool.map(self.one, range(len(self._positions))):
                held.append(image.contiguous().to(device))
                progress(1)
        return HeldImages(held)


class BatchReader:
    """Reads whole batches from a source of equally sized images."""

    def __init__(self, source: PixelSource, positions: NDArray[np.int64], settle: Settle) -> None:
        self._source, self._positions, self._settle = source, positions, settle

    def read(self, rows: Tensor) -> Tensor:
        """(b, 3, h, w)."""
        return self._settle(torch.from_numpy(self._source.pixels(self._positions[rows.numpy()])))

    def decoded_bytes(self) -> int:
        """What all images take as the source has them."""
        return self._source.pixels(self._positions[:1]).nbytes * len(self._positions)

    def hold(self, device: torch.device, threads: int, progress: Callable[[int], object]) -> HeldPixels:  # noqa: ARG002
        """All images, as the source has them; they are settled batch by batch, for they may grow tenfold by it."""
        pixels = torch.from_numpy(self._source.pixels(self._positions)).to(device)
        progress(len(pixels))
        return HeldPixels(pixels, self._settle)


class HeldImages:
    """Settled images of different sizes, on a device."""

    def __init__(self, images: list[Tensor]) -> None:
        self._images = images

    def read(self, rows: Tensor) -> list[Tensor]:
        """(3, h, w) each."""
        return [self._images[row] for row in rows.tolist()]


class HeldPixels:
    """Images of one size, on a device."""

    def __init__(self, pixels: Tensor, settle: Settle) -> None:
        self._pixels, self._settle = pixels, settle

    def read(self, rows: Tensor) -> Tensor:
        """(b, 3, h, w)."""
        return self._settle(self._pixels[rows.to(self._pixels.device, non_blocking=True)])


def reader_of(
    source: ImageSource, positions: NDArray[np.int64], preprocessing: Preprocessing, augment: Augment
) -> FileReader | BatchReader:
    """A reader of the images at n positions; its rows are 0 to n - 1."""
    settled = partial(settle, preprocessing=preprocessing, augment=augment)
    if isinstance(source, PixelSource):
        return BatchReader(source, positions, settled)
    return FileReader(source, positions, settled)
