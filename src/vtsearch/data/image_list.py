"""List files, as the multi-label protocols publish them: one ``path l_1 ... l_C`` per line, labels 0 or 1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources import need
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image


class ImageListSource:
    """The images of one or more list files; a path that stands in several files is one item.

    Args:
        files: list files with the same label columns.
        root: the folder that the paths are relative to; by default each list file's own folder.
        classes: names of the columns; by default "0", "1", ...

    Raises:
        FileNotFoundError: no such list file, or an image that does not exist (with file and line).
        ValueError: a line without labels, with another number of columns, or with one that is not 0 or 1; a path with
            two different label rows; names that are not one per column (with file and line).
    """

    def __init__(
        self, files: Sequence[str | Path], root: str | Path | None = None, classes: Sequence[str] | None = None
    ) -> None:
        self._paths: list[Path] = []
        self._ids: list[str] = []
        self._lines: list[str] = []  # where each item stands, for messages
        self._rows: dict[Path, int] = {}
        self._labels: list[list[str]] = []
        self.positions: tuple[NDArray[np.int64], ...] = tuple(
            self._read(Path(file), Path(file).parent if root is None else Path(root)) for file in files
        )
        self.labels: NDArray[np.uint8] = np.array(self._labels, dtype=np.uint8)
        del self._labels
        columns = self.labels.shape[1]
        self.classes: tuple[str, ...] = tuple(classes or map(str, range(columns)))
        if len(self.classes) != columns:
            raise ValueError(f"classes: expected {columns} names, one per label column, got {len(self.classes)}")

    def __len__(self) -> int:
        return len(self._paths)

    def load(self, position: int) -> Image:
        """The image at a position.

        Raises:
            VtsearchError: a file that is no image, or a truncated one (with list file and line).
        """
        return read_image(self._paths[position], self._lines[position])

    def id(self, position: int) -> str:
        """The path as the list file has it."""
        return self._ids[position]

    def _read(self, file: Path, root: Path) -> NDArray[np.int64]:
        """The positions of one file's lines; new items are appended."""
        positions: list[int] = []
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                fields = line.split()
                if fields:
                    positions.append(self._add(fields[0], fields[1:], root, f"{file}:{number}"))
        if not positions:
            raise ValueError(f"{file}: expected lines of a path and 0/1 labels, got none")
        return np.array(positions, dtype=np.int64)

    def _add(self, name: str, labels: list[str], root: Path, where: str) -> int:
        columns = len(self._labels[0]) if self._labels else len(labels)
        if not labels or len(labels) != columns:
            raise ValueError(
                f"{where}: expected {columns or 'at least 1'} label columns after the path, got {len(labels)}"
            )
        wrong = set(labels) - {"0", "1"}
        if wrong:
            raise ValueError(f"{where}: expected labels 0 or 1, got {min(wrong)!r}")
        path = root / name
        known = self._rows.get(path)
        if known is None:
            if not path.is_file():
                raise FileNotFoundError(f"{where}: no such image: {path}")
            known = self._rows[path] = len(self._paths)
            self._paths.append(path)
            self._ids.append(name)
            self._lines.append(where)
            self._labels.append(labels)
        elif self._labels[known] != labels:
            raise ValueError(f"{where}: {name} has other labels than at {self._lines[known]}")
        return known


def read_image(path: Path, where: str) -> Image:
    """The RGB image in a file; ``where`` says in messages which entry named it.

    Raises:
        FileNotFoundError: the file is gone.
        VtsearchError: a file that is no image, or a truncated one.
    """
    try:
        with need("PIL.Image").open(path) as image:
            converted: Image = image.convert("RGB")
            return converted
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as reason:  # Pillow reports broken PNG chunks as SyntaxError
        raise VtsearchError(f"{where}: cannot read image {path}: {reason}") from reason
