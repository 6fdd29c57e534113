"""List files of published splits: ``path l_1 ... l_C`` per line, with labels 0 or 1, or ``path class``.

Paths and labels may also be in two files with a line per image each (``database_img.txt`` and ``database_label.txt``);
such a pair is read like one list. A path may contain blanks where it ends with the suffix of an image.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.class_names import doubtful_names, unused_numbers
from vtsearch.data.sources.folder_scan import SUFFIXES
from vtsearch.data.sources.image_files import ImageFilesSource, refuse
from vtsearch.data.sources.label_parser import LabelledItems
from vtsearch.data.sources.text_files import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from vtsearch.data.sources.decode import PixelRule
    from vtsearch.data.sources.image_files import Report

ListFile = str | Path | tuple[Path, Path]
"""A list file, or a file of paths with a file of labels."""
WORD = re.compile(r"\S+")


class ImageListSource(ImageFilesSource):
    """The images of one or more list files; a path in several files is one item.

    Args:
        files: list files with the same label columns. One column holds class numbers, from 0; several hold 0 and 1.
        root: the folder that the paths are relative to; by default each list file's own folder.
        classes: names of the classes; by default "0", "1", ...
        strip_prefix: removed from the beginning of each path, such as the folder of the images on another computer.
        pixel_rule: "published" for lists of a published protocol.
        report: called with each fault, by default raised; lines with a fault are skipped.

    Raises:
        FileNotFoundError: no such list file, or an image that does not exist (with file and line).
        ValueError: text in an unknown encoding, or a path without the prefix;
            a line without labels, with another number of columns, or with a label of another kind; a path
            with two different label rows; another number of names than classes; files of paths and labels of different
            lengths (with file and line).
    """

    def __init__(
        self,
        files: Sequence[ListFile],
        root: str | Path | None = None,
        classes: Sequence[str] | None = None,
        *,
        strip_prefix: str = "",
        pixel_rule: PixelRule = "upright",
        report: Report = refuse,
    ) -> None:
        items = LabelledItems(report, strip_prefix=strip_prefix)
        self.positions: tuple[NDArray[np.int64], ...] = tuple(_read(file, root, items) for file in files)
        """Per file the items of its lines, in their order, repeats included."""
        labels = items.label_array()
        found = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
        names = tuple(classes or map(str, range(found)))
        if len(names) < found or (labels.ndim == 2 and len(names) != found):
            raise ValueError(f"classes: expected {found} names, one per class, got {len(names)}")
        remarks = unused_numbers(labels, len(names)) if labels.ndim == 1 else []
        super().__init__(
            items.names,
            items.paths,
            labels,
            names,
            items.where,
            pixel_rule=pixel_rule,
            remarks=[*remarks, *doubtful_names(names)],
            report=report,
        )


def _read(file: ListFile, root: str | Path | None, items: LabelledItems) -> NDArray[np.int64]:
    """The positions of one file's lines; new items are appended."""
    lines = _pairs(*file) if isinstance(file, tuple) else _lines(Path(file))
    named = Path(file[0] if isinstance(file, tuple) else file)
    folder = named.parent if root is None else Path(root)
    found = [items.add(folder, name, labels, where) for name, labels, where in lines]
    if not found:
        raise ValueError(f"{named}: expected lines of a path and labels, got none")
    return np.array([position for position in found if position is not None], dtype=np.int64)


def _lines(file: Path) -> Iterator[tuple[str, list[str], str]]:
    """Path, labels and location (file and line) of each line that is not empty."""
    for number, line in enumerate(read_lines(file), start=1):
        if line.strip():
            yield *split_line(line.strip()), f"{file}:{number}"


def split_line(line: str) -> tuple[str, list[str]]:
    """The path and the labels of a line: the path ends with the last suffix of an image, else at the first blank."""
    path, *labels = line.split()
    if not any("." in label for label in labels):
        return path, labels
    ends = [word.end() for word in WORD.finditer(line) if PurePath(word[0]).suffix.lower() in SUFFIXES]
    return (line[: ends[-1]], line[ends[-1] :].split()) if ends else (path, labels)


def _pairs(paths: Path, labels: Path) -> Iterator[tuple[str, list[str], str]]:
    """The same for two files; paths may contain blanks."""
    names, rows = read_lines(paths), read_lines(labels)
    if len(names) != len(rows):
        raise ValueError(f"{labels}: expected {len(names):,} lines as in {paths.name}, got {len(rows):,}")
    for number, (name, row) in enumerate(zip(names, rows, strict=True), start=1):
        if name.strip():
            yield name.strip(), row.split(), f"{labels}:{number}"
