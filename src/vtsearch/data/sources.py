"""What every image source offers, whatever its files look like."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vtsearch.errors import missing_extra

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.image_folder import ImageFolderSource
    from vtsearch.data.image_list import ImageListSource
    from vtsearch.data.manifest import ManifestSource


@runtime_checkable
class ImageSource(Protocol):
    """Images in a fixed order, with labels; a position is a place in that order."""

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
        """A stable name of the item: a path relative to the source, or the like."""


@runtime_checkable
class FileSource(ImageSource, Protocol):
    """An image source whose images are files."""

    def path(self, position: int) -> Path:
        """The image file at a position."""


@runtime_checkable
class PixelSource(ImageSource, Protocol):
    """An image source whose images all have one size and are read as a batch."""

    def pixels(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (b, 3, h, w) of the positions, in their order."""


def open_image_folder(root: str | Path) -> ImageFolderSource:
    """A folder with one subfolder of images per class; see ``ImageFolderSource``."""
    from vtsearch.data.image_folder import ImageFolderSource  # noqa: PLC0415 (needs Pillow only when used)

    return ImageFolderSource(root)


def open_image_list(file: str | Path, root: str | Path | None = None) -> ImageListSource:
    """A text file with a path and labels per line; see ``ImageListSource``."""
    from vtsearch.data.image_list import ImageListSource  # noqa: PLC0415 (needs Pillow only when used)

    return ImageListSource([file], root)


def open_manifest(file: str | Path, root: str | Path | None = None) -> ManifestSource:
    """A CSV or Parquet table with a path and labels per row; see ``ManifestSource``."""
    from vtsearch.data.manifest import ManifestSource  # noqa: PLC0415 (needs Pillow only when used)

    return ManifestSource(file, root)


def need(module: str) -> Any:
    """Import what only image work needs, or say which extra brings it.

    Raises:
        ModuleNotFoundError: the module is not installed; the message names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise missing_extra(module) from missing
