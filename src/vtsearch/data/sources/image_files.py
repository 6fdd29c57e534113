"""The base class of image sources over files: lists, tables and annotations."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.decode import PixelRule, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    Report = Callable[[str, Exception], None]
    """Called with each fault in a user's files: its kind ("files", "labels" or "leakage") and the exception."""


def refuse(_kind: str, fault: Exception) -> None:
    """Raise the first fault: the default report. ``vtsearch data check`` collects the faults instead."""
    raise fault


class ImageFilesSource:
    """Image files with labels.

    Args:
        names: ids of the items, all different.
        paths: one file per item.
        labels: int64 (n,), or uint8 0/1 (n, classes).
        classes: names of the class numbers or label columns.
        where: per item its entry (file and line), for messages.
        pixel_rule: "upright" for your own images, "published" for those of a published protocol.
        remarks: sentences about what was left out or may be wrong, with counts.
        report: called with each missing file.

    Raises:
        FileNotFoundError: an image that does not exist.
    """

    def __init__(
        self,
        names: Sequence[str],
        paths: Sequence[Path],
        labels: NDArray[Any],
        classes: Sequence[str],
        where: Sequence[str],
        *,
        pixel_rule: PixelRule = "published",
        remarks: Sequence[str] = (),
        report: Report = refuse,
    ) -> None:
        self.pixel_rule = pixel_rule
        self.remarks: tuple[str, ...] = tuple(remarks)
        self._names = names
        self._paths = paths
        self._where = where
        self.labels: NDArray[Any] = labels
        self.classes: tuple[str, ...] = tuple(classes)
        for path, name, entry in zip(paths, names, where, strict=True):
            if not os.path.isfile(path):  # noqa: PTH113 (a third of the time of Path.is_file: lists are long)
                hint = (
                    "; --strip-prefix removes the beginning of a path of another computer" if _is_absolute(name) else ""
                )
                report("files", FileNotFoundError(f"{entry}: no such image: {path}{hint}"))

    def __len__(self) -> int:
        return len(self._names)

    def load(self, position: int) -> Image:
        """The image at a position.

        Raises:
            FileNotFoundError: a file that is gone.
            PermissionError: a file that may not be read.
            VtsearchError: a damaged file, or not an image (with its entry).
        """
        return self.load_reduced(position, None)

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The image at a position, of at least that shorter side; errors as of ``load``."""
        return read_image(self._paths[position], self._where[position], self.pixel_rule, least_side)

    def id(self, position: int) -> str:
        """The name of the item in the files of the data set."""
        return self._names[position]

    def path(self, position: int) -> Path:
        """The image file at a position."""
        return self._paths[position]


def without_prefix(name: str, prefix: str) -> str | None:
    """A path of a list without its beginning, as a relative path; None if it begins otherwise."""
    if not prefix:
        return name
    return name[len(prefix) :].lstrip("/\\") if name.startswith(prefix) else None


def _is_absolute(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()


def zeros_and_ones(text: str | bytes) -> NDArray[np.uint8]:
    """uint8 0/1 (n,) of the digits in a text, white space aside.

    Raises:
        ValueError: another character.
    """
    raw = np.frombuffer(text.encode() if isinstance(text, str) else text, dtype=np.uint8)
    digits = raw[raw > ord(" ")] - np.uint8(ord("0"))
    if (digits > 1).any():
        raise ValueError(f"expected labels 0 or 1, got {chr(int(digits[digits > 1][0]) + ord('0') & 0xFF)!r}")
    return digits


def class_numbers(names: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class numbers int64 (n,) of class names, and the names in their order: as numbers if all are, else as text."""
    different = set(names)
    ordered = sorted(different, key=int) if all(map(is_number, different)) else sorted(different)
    numbers = {name: number for number, name in enumerate(ordered)}
    return np.array([numbers[name] for name in names], dtype=np.int64), tuple(ordered)


def is_number(text: str) -> bool:
    """Whether a text is a number from 0 up, in ASCII digits."""
    return text.isascii() and text.isdigit()
