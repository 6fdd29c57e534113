"""Readers of training images: decoded anew for each batch, or once and cached on a device.

Both give the same batches, resized by the ``Augmentation``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch

from vtsearch.data.sources.image_source import PixelSource, load_reduced
from vtsearch.tensors.preprocessing import to_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data.loading.augmentation import Augmentation
    from vtsearch.data.sources.image_source import ImageItems
    from vtsearch.tensors.preprocessing import Preprocessing

    Resize = Callable[[Tensor], Tensor]

SAMPLE = 32  # images to estimate the size of all from


class Reader(Protocol):
    """Reads resized images by row, uint8: (b, 3, h, w), or (3, h, w) each if their sizes differ."""

    def read(self, rows: Tensor) -> Tensor | Sequence[Tensor]:
        """The images of rows, int64 (b,) on the CPU."""


class FileReader:
    """Reads image files; decodes an image at each access."""

    def __init__(
        self, source: ImageItems, positions: NDArray[np.int64], resize: Resize, least_side: int | None = None
    ) -> None:
        self._source, self._positions, self._resize, self._least_side = source, positions, resize, least_side

    def read(self, rows: Tensor) -> list[Tensor]:
        """(3, h, w) each."""
        return [self.one(row) for row in rows.tolist()]

    def one(self, row: int) -> Tensor:
        """(3, h, w)."""
        return self._resize(to_tensor(load_reduced(self._source, int(self._positions[row]), self._least_side)))

    def decoded_bytes(self) -> int:
        """Approximate size in bytes of all decoded and resized images."""
        n = len(self._positions)
        sample = range(0, n, max(1, n // SAMPLE))
        return sum(self.one(row).nbytes for row in sample) * n // max(len(sample), 1)

    def hold(self, device: torch.device, threads: int, progress: Callable[[int], object]) -> HeldImages:
        """Decode all images and cache them on a device."""
        held = []
        with ThreadPoolExecutor(threads) as pool:
            for image in pool.map(self.one, range(len(self._positions))):
                held.append(image.contiguous().to(device))
                progress(1)
        return HeldImages(held)


class BatchReader:
    """Reads whole batches from a source of equally sized images."""

    def __init__(self, source: PixelSource, positions: NDArray[np.int64], resize: Resize) -> None:
        self._source, self._positions, self._resize = source, positions, resize

    def read(self, rows: Tensor) -> Tensor:
        """(b, 3, h, w)."""
        return self._resize(torch.from_numpy(self._source.pixels(self._positions[rows.numpy()])))

    def decoded_bytes(self) -> int:
        """Size in bytes of all images at the size of the source."""
        return self._source.pixels(self._positions[:1]).nbytes * len(self._positions)

    def hold(self, device: torch.device, threads: int, progress: Callable[[int], object]) -> HeldPixels:  # noqa: ARG002
        """Cache all images at the size of the source; batches are resized later, as that may take tenfold memory."""
        pixels = torch.from_numpy(self._source.pixels(self._positions)).to(device)
        progress(len(pixels))
        return HeldPixels(pixels, self._resize)


class HeldImages:
    """Resized images of different sizes, cached on a device."""

    def __init__(self, images: list[Tensor]) -> None:
        self._images = images

    def read(self, rows: Tensor) -> list[Tensor]:
        """(3, h, w) each."""
        return [self._images[row] for row in rows.tolist()]


class HeldPixels:
    """Images of one size, cached on a device and resized by batch."""

    def __init__(self, pixels: Tensor, resize: Resize) -> None:
        self._pixels, self._resize = pixels, resize

    def read(self, rows: Tensor) -> Tensor:
        """(b, 3, h, w)."""
        return self._resize(self._pixels[rows.to(self._pixels.device, non_blocking=True)])


def reader_of(
    source: ImageItems, positions: NDArray[np.int64], preprocessing: Preprocessing, augmentation: Augmentation
) -> FileReader | BatchReader:
    """A reader of the images at n positions; its rows are 0 to n - 1."""
    resize = partial(augmentation.resize, preprocessing=preprocessing)
    if isinstance(source, PixelSource):
        return BatchReader(source, positions, resize)
    return FileReader(source, positions, resize, augmentation.least_side(preprocessing))
