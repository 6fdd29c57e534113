"""The interface of image sources, whatever their file layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.sources.decode import PixelRule


@runtime_checkable
class ImageSource(Protocol):
    """Images in a fixed order, with labels; a position is an index into that order."""

    @property
    def labels(self) -> NDArray[Any]:
        """int64 (n,) class numbers, or uint8 0/1 (n, classes)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the class numbers or of the label columns."""

    def __len__(self) -> int: ...

    def load(self, position: int) -> Image:
        """The RGB image at a position."""

    def id(self, position: int) -> str:
        """A stable name of the item, such as a path relative to the source."""


@runtime_checkable
class FileSource(ImageSource, Protocol):
    """An image source over files."""

    def path(self, position: int) -> Path:
        """The image file at a position."""


@runtime_checkable
class PixelSource(ImageSource, Protocol):
    """An image source of equally sized images, read in batches."""

    def pixels(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (b, 3, h, w) of the positions, in their order."""


@runtime_checkable
class ReducibleSource(ImageSource, Protocol):
    """An image source whose images may be decoded at a reduced size."""

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The RGB image at a position, as of ``load``; one whose shorter side has ``least_side`` pixels is enough."""


def load_reduced(source: ImageSource, position: int, least_side: int | None) -> Image:
    """The RGB image at a position, at a reduced size if the source can decode it so.

    Args:
        source: the images.
        position: which of them.
        least_side: pixels of the shorter side that are enough; None for the whole image.
    """
    if isinstance(source, ReducibleSource):
        return source.load_reduced(position, least_side)
    return source.load(position)


def pixel_rule_of(source: ImageSource) -> PixelRule:
    """The rule by which a source reads its pixels; a source of another program's making gives your own images."""
    rule: PixelRule = getattr(source, "pixel_rule", "upright")
    return rule


def remarks_of(source: ImageSource) -> tuple[str, ...]:
    """Sentences about what a source left out or took in doubt, with counts; see docs/data.md."""
    return tuple(getattr(source, "remarks", ()))
