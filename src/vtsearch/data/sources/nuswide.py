"""NUS-WIDE's files: a list of images, and per concept a file with a 0 or 1 per image.

Source: Chua et al., NUS-WIDE: A Real-World Web Image Database from National University of Singapore, CIVR 2009
"""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.image_files import ImageFilesSource, refuse, zeros_and_ones
from vtsearch.data.sources.text_files import read_lines
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.data.sources.image_files import Report

IMAGES = "ImageList/Imagelist.txt"
LABELS = "Groundtruth/AllLabels"
PREFIX = "Labels_"


class NuswideSource(ImageFilesSource):
    """The images with at least one of the most frequent concepts; concepts in the order of their names.

    Args:
        root: contains ``ImageList/Imagelist.txt``, ``Groundtruth/AllLabels/Labels_*.txt`` and the images, in ``Flickr``
            or ``images``, with the folders of the image list or without.
        concepts: number of concepts: those with the most images, ties by name.
        report: called with each fault, by default raised; label files with a fault are skipped.

    Raises:
        FileNotFoundError: one of these files is missing, or an image is.
        ValueError: a label file with another number of lines than images, or with a label that is not 0 or 1.
        VtsearchError: no label files, or no image with a label.
    """

    def __init__(self, root: Path, concepts: int, *, report: Report = refuse) -> None:
        listed = [PureWindowsPath(line) for line in read_lines(root / IMAGES) if line.strip()]
        columns = _columns(root / LABELS, len(listed), report)
        often = sorted(columns, key=lambda name: (-int(columns[name].sum()), name))[:concepts]
        classes = tuple(sorted(often))
        labels = np.stack([columns[name] for name in classes], axis=1)
        kept = np.flatnonzero(labels.any(axis=1))
        if len(kept) == 0:
            raise VtsearchError(f"{root / LABELS}: expected images with labels, got none")
        names = [listed[item] for item in kept.tolist()]
        paths = _paths(root, names)
        ids = [path.relative_to(root).as_posix() for path in paths]
        super().__init__(ids, paths, labels[kept], classes, [str(root / IMAGES)] * len(paths), report=report)


def _columns(folder: Path, images: int, report: Report) -> dict[str, NDArray[np.uint8]]:
    """Concept -> uint8 (images,)."""
    columns: dict[str, NDArray[np.uint8]] = {}
    for file in sorted(folder.glob(f"{PREFIX}*.txt")):
        try:
            column = zeros_and_ones(file.read_bytes())
        except ValueError as fault:
            report("labels", ValueError(f"{file}: {fault}"))
            continue
        if len(column) == images:
            columns[file.stem.removeprefix(PREFIX)] = column
        else:
            lacking = f"expected {images:,} labels, one per image of {Path(IMAGES).name}, got {len(column):,}"
            report("labels", ValueError(f"{file}: {lacking}"))
    if not columns:
        raise VtsearchError(f"{folder}: expected {PREFIX}*.txt with a 0 or 1 per image, got none")
    return columns


def _paths(root: Path, names: Sequence[PureWindowsPath]) -> list[Path]:
    """Paths of the images, in the layout with the most existing files among the first hundred."""

    def path_of(layout: tuple[str, bool], name: PureWindowsPath) -> Path:
        folder, nested = layout
        return root.joinpath(folder, *(name.parts if nested else name.parts[-1:]))

    layouts: list[tuple[str, bool]] = [
        (folder, nested) for folder in ("Flickr", "images", ".") for nested in (True, False)
    ]
    best: Any = max(layouts, key=lambda layout: sum(path_of(layout, name).is_file() for name in names[:100]))
    return [path_of(best, name) for name in names]
