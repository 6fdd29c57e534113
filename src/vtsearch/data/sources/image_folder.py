"""A folder of images with one subfolder per class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.class_names import doubtful_names
from vtsearch.data.sources.decode import PixelRule, read_image
from vtsearch.data.sources.folder_scan import FolderContent, describe, look_into

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class ImageFolderSource:
    """``root/<class>/.../<image>``: classes by name, images by path inside each class, hidden files ignored.

    Images beside the subfolders have no class and are left out. What was left out is counted in ``remarks``.

    Args:
        root: the folder.

    Raises:
        FileNotFoundError: no such folder.
        PermissionError: a folder that may not be read.
        ValueError: no subfolder, or one without an image; subfolders that are parts of a split (train, test), or one
            subfolder that holds the folders of the classes.
    """

    pixel_rule: PixelRule = "upright"

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        content = _look_into(self.root)
        _refuse_other_layouts(content)
        folders = content.filled
        self._paths: list[Path] = [path for images in folders.values() for path in images]
        sizes = [len(images) for images in folders.values()]
        self.labels: NDArray[np.int64] = np.repeat(np.arange(len(folders), dtype=np.int64), sizes)
        self.classes: tuple[str, ...] = tuple(folders)
        self.remarks: tuple[str, ...] = (*left_out(content, beside=True), *doubtful_names(self.classes))
        """Sentences about what was left out or may be wrong, with counts."""

    def __len__(self) -> int:
        return len(self._paths)

    def load(self, position: int) -> Image:
        """The image at a position.

        Raises:
            FileNotFoundError: a file that is gone.
            PermissionError: a file that may not be read.
            VtsearchError: a damaged file, or not an image.
        """
        return self.load_reduced(position, None)

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The image at a position, of at least that shorter side; errors as of ``load``."""
        return read_image(self._paths[position], str(self.root), self.pixel_rule, least_side)

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
        PermissionError: a folder that may not be read.
        ValueError: no subfolder, or one without an image.
    """
    return _all_filled(_look_into(root))


def left_out(content: FolderContent, *, beside: bool) -> list[str]:
    """Sentences about the files of a folder that are not taken: of other kinds, and images beside the classes."""
    remarks = []
    if beside and content.beside.images:
        count = len(content.beside.images)
        remarks.append(f"{content.root}: left out {count:,} images beside the subfolders, which have no class")
    if others := describe(content.left_out):
        remarks.append(f"{content.root}: left out what is not an image of a kind that is read here: {others}")
    return remarks


def _look_into(root: Path) -> FolderContent:
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: expected a folder with one subfolder of images per class")
    return look_into(root)


def _refuse_other_layouts(content: FolderContent) -> None:
    _all_filled(content)
    if content.wrapped():
        (only,) = content.filled
        raise ValueError(f"{content.root}: {content.no_classes()}: give {content.root / only}")
    if reason := content.no_classes():
        first = content.root / next(iter(content.filled))
        raise ValueError(f"{content.root}: {reason}: give one of them, such as {first}, or a table with a column split")


def _all_filled(content: FolderContent) -> dict[str, list[Path]]:
    root = content.root
    if not content.folders:
        count = len(content.beside.images)
        found = f"{count:,} images beside each other" if count else "none"
        raise ValueError(f"{root}: expected one subfolder of images per class, got {found}")
    for name, found_there in content.folders.items():
        if not found_there.images:
            others = describe(found_there.left_out)
            raise ValueError(f"{root / name}: expected images, got none{f', but {others}' if others else ''}")
    return content.filled
