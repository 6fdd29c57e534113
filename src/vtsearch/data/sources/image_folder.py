"""A folder of images with one subfolder per class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.image_files import read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFolderSource:
    """``root/<class>/.../<image>``: classes by name, images by path inside each class, hidden files ignored.

    Args:
        root: the folder.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no subfolder, or one without an image.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        folders = class_folders(self.root)
        self._paths: list[Path] = [path for images in folders.values() for path in images]
        sizes = [len(images) for images in folders.values()]
        self.labels: NDArray[np.int64] = np.repeat(np.arange(len(folders), dtype=np.int64), sizes)
        self.classes: tuple[str, ...] = tuple(folders)

    def __len__(self) -> int:
        return len(self._paths)

    def load(self, position: int) -> Image:
        """The image at a position.

        Raises:
            VtsearchError: a truncated file, or not an image.
        """
        return read_image(self._paths[position], str(self.root))

    def id(self, position: int) -> str:
        """The path below the root, with forward slashes."""
        return self._paths[position].relative_to(self.root).as_posix()

    def path(self, position: int) -> Path:
        """The image file at a position."""
        return self._paths[position]


def class_folders(root: Path) -> dict[str, list[Path]]:
    """Class name -> the images below its folder, both in order.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no subfolder, or one without an image.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: expected a folder with one subfolder of images per class")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise ValueError(f"{root}: expected one subfolder of images per class, got none")
    found = {folder.name: sorted(path for path in folder.rglob("*") if _is_image(path)) for folder in folders}
    for name, images in found.items():
        if not images:
            raise ValueError(f"{root / name}: expected images ({', '.join(sorted(SUFFIXES))}), got none")
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
