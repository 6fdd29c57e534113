"""List files of published splits: ``path l_1 ... l_C`` per line, with labels 0 or 1, or ``path class``.

Paths and labels may also be in two files with a line per image each (``database_img.txt`` and ``database_label.txt``);
such a pair is read like one list.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.image_files import ImageFilesSource, refuse
from vtsearch.data.sources.label_parser import LabelledItems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from vtsearch.data.sources.image_files import Report

ListFile = str | Path | tuple[Path, Path]
"""A list file, or a file of paths with a file of labels."""


class ImageListSource(ImageFilesSource):
    """The images of one or more list files; a path in several files is one item.

    Args:
        files: list files with the same label columns. One column holds class numbers, from 0; several hold 0 and 1.
        root: the folder that the paths are relative to; by default each list file's own folder.
        classes: names of the classes; by default "0", "1", ...
        report: called with each fault, by default raised; lines with a fault are skipped.

    Raises:
        FileNotFoundError: no such list file, or an image that does not exist (with file and line).
        ValueError: a line without labels, with another number of columns, or with a label of another kind; a path
            with two different label rows; another number of names than classes; files of paths and labels of different
            lengths (with file and line).
    """

    def __init__(
        self,
        files: Sequence[ListFile],
        root: str | Path | None = None,
        classes: Sequence[str] | None = None,
        *,
        report: Report = refuse,
    ) -> None:
        items = LabelledItems(report)
        self.positions: tuple[NDArray[np.int64], ...] = tuple(_read(file, root, items) for file in files)
        """Per file the items of its lines, in their order, repeats included."""
        labels = items.label_array()
        found = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
        names = tuple(classes or map(str, range(found)))
        if len(names) < found or (labels.ndim == 2 and len(names) != found):
            raise ValueError(f"classes: expected {found} names, one per class, got {len(names)}")
        super().__init__(items.names, items.paths, labels, names, items.where, report=report)


def _read(file: ListFile, root: str | Path | None, items: LabelledItems) -> NDArray[np.int64]:
    """The positions of one file's lines; new items are appended."""
    lines = _pairs(*file) if isinstance(file, tuple) else _lines(Path(file))
    named = Path(file[0] if isinstance(file, tuple) else file)
    folder = named.parent if root is None else Path(root)
    found = [items.add(folder / name, name, labels, where) for name, labels, where in lines]
    if not found:
        raise ValueError(f"{named}: expected lines of a path and labels, got none")
    return np.array([position for position in found if position is not None], dtype=np.int64)


def _lines(file: Path) -> Iterator[tuple[str, list[str], str]]:
    """Path, labels and location (file and line) of each line that is not empty."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if fields := line.split():
                yield fields[0], fields[1:], f"{file}:{number}"


def _pairs(paths: Path, labels: Path) -> Iterator[tuple[str, list[str], str]]:
    """The same for two files; paths may contain blanks."""
    names = paths.read_text(encoding="utf-8").splitlines()
    rows = labels.read_text(encoding="utf-8").splitlines()
    if len(names) != len(rows):
        raise ValueError(f"{labels}: expected {len(names):,} lines as in {paths.name}, got {len(rows):,}")
    for number, (name, row) in enumerate(zip(names, rows, strict=True), start=1):
        if name.strip():
            yield name.strip(), row.split(), f"{labels}:{number}"
