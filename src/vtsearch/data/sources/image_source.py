"""The interface of image sources, whatever their file layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.sources.decode import PixelRule
    from vtsearch.data.sources.stamp import Stamp


@runtime_checkable
class ImageItems(Protocol):
    """Images in a fixed order; a position is an index into that order. All that encoding needs."""

    def __len__(self) -> int: ...

    def load(self, position: int) -> Image:
        """The image at a position.

        Raises:
            VtsearchError, OSError: this image cannot be read; any other exception ends the encoding.
        """

    def id(self, position: int) -> str:
        """A stable name of the item, such as a path relative to the source; all are different."""


@runtime_checkable
class ImageSource(ImageItems, Protocol):
    """Images in a fixed order, with labels."""

    @property
    def labels(self) -> NDArray[Any]:
        """int64 (n,) class numbers, or uint8 0/1 (n, classes)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the class numbers or of the label columns."""


@runtime_checkable
class FileSource(ImageItems, Protocol):
    """An image source over files."""

    def path(self, position: int) -> Path:
        """The image file at a position."""


@runtime_checkable
class EncodedSource(ImageItems, Protocol):
    """An image source over encoded images that are not files of their own, such as the members of an archive."""

    def read(self, position: int) -> bytes:
        """The encoded image at a position."""

    def stamp(self, position: int) -> Stamp | None:
        """By what a later look tells whether the image has changed; None if nothing does."""


@runtime_checkable
class PixelSource(ImageItems, Protocol):
    """An image source of equally sized images, read in batches."""

    def pixels(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (b, 3, h, w) of the positions, in their order."""


@runtime_checkable
class SummedSource(ImageItems, Protocol):
    """An image source that knows the content of its images, which are in no files."""

    def sums(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 (b,): CRC-32 of the images at b positions; another image has another, but for one in 2^32."""


@runtime_checkable
class ReducibleSource(ImageItems, Protocol):
    """An image source whose images may be decoded at a reduced size."""

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The RGB image at a position, as of ``load``; one whose shorter side has ``least_side`` pixels is enough."""


def load_reduced(source: ImageItems, position: int, least_side: int | None) -> Image:
    """The RGB image at a position, at a reduced size if the source can decode it so.

    Args:
        source: the images.
        position: which of them.
        least_side: pixels of the shorter side that are enough; None for the whole image.
    """
    if isinstance(source, ReducibleSource):
        return source.load_reduced(position, least_side)
    return source.load(position)


def labels_of(source: ImageItems) -> NDArray[Any]:
    """The labels of a source; zeros, int64 (n,), of one without."""
    return source.labels if isinstance(source, ImageSource) else np.zeros(len(source), dtype=np.int64)


def classes_of(source: ImageItems) -> tuple[str, ...]:
    """The names of the classes of a source; none of one without labels."""
    return source.classes if isinstance(source, ImageSource) else ()


def pixel_rule_of(source: ImageItems) -> PixelRule:
    """The rule by which a source reads its pixels; a source of another program's making gives your own images."""
    rule: PixelRule = getattr(source, "pixel_rule", "upright")
    return rule


def remarks_of(source: ImageItems) -> tuple[str, ...]:
    """Sentences about what a source left out or took in doubt, with counts; see docs/data.md."""
    return tuple(getattr(source, "remarks", ()))
