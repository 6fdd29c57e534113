"""A folder of images with one subfolder per class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.image_list import read_image

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
        if not self.root.is_dir():
            raise FileNotFoundError(f"{root}: expected a folder with one subfolder of images per class")
        folders = sorted(path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))
        if not folders:
            raise ValueError(f"{root}: expected one subfolder of images per class, got none")
        self._paths: list[Path] = []
        numbers: list[int] = []
        for number, folder in enumerate(folders):
            images = sorted(path for path in folder.rglob("*") if _is_image(path))
            if not images:
                raise ValueError(f"{folder}: expected images ({', '.join(sorted(SUFFIXES))}), got none")
            self._paths += images
            numbers += [number] * len(images)
        self.labels: NDArray[np.int64] = np.array(numbers, dtype=np.int64)
        self.classes: tuple[str, ...] = tuple(folder.name for folder in folders)

    def __len__(self) -> int:
        return len(self._paths)

    def load(self, position: int) -> Image:
        """The image at a position.

        Raises:
            VtsearchError: a file that is no image, or a truncated one.
        """
        return read_image(self._paths[position], str(self.root))

    def id(self, position: int) -> str:
        """The path below the root, with forward slashes."""
        return self._paths[position].relative_to(self.root).as_posix()


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
