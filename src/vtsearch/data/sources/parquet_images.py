"""The images in Parquet files, as Hugging Face's datasets store them: a row is an image, with its label beside it."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.class_names import doubtful_names, is_missing
from vtsearch.data.sources.encoded_images import MOST_BYTES, EncodedImages
from vtsearch.data.sources.image_files import class_numbers
from vtsearch.data.sources.parquet_file import BYTES, ImageTable, open_table
from vtsearch.data.sources.stamp import Stamp
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class ParquetImages(EncodedImages):
    """The rows of Parquet files with encoded images, in their order, named ``FILE.parquet/ROW``, counted from 0.

    The column of images is a struct with ``bytes``, or binary. Labels are the column ``label``: names, or numbers,
    whose names are those of Hugging Face's metadata; there are no labels unless every row has one. One row group is
    in memory at a time.

    Args:
        root: the folder that the names are relative to.
        names: of the files.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no column of images; files with other classes; a number without a name; no rows.
        VtsearchError: not a Parquet file, or a damaged one.
    """

    def __init__(self, root: str | Path, names: Sequence[str]) -> None:
        self.files = tuple(names)
        self._tables = [open_table(Path(root) / name) for name in names]
        self._starts = list(accumulate((table.rows for table in self._tables), initial=0))
        if not self._starts[-1]:
            raise ValueError(f"images: expected rows in {names[0]}, got none")
        labels, classes, remarks = _labels(self._tables)
        ids = [f"{name}/{row}" for name, table in zip(names, self._tables, strict=True) for row in range(table.rows)]
        super().__init__(ids, labels, classes, remarks)
        self._groups = _OpenGroup()

    def read(self, position: int) -> bytes:
        """The encoded image at a position; errors as of ``load``."""
        table, row = self._row(position)
        group = bisect_right(table.starts, row) - 1
        value = self._groups.of(table, group)[row - table.starts[group]].as_py()
        content = value.get(BYTES) if isinstance(value, dict) else value
        if content is None:
            raise VtsearchError(f"{self.id(position)}: expected the bytes of an image in {table.column}, got nothing")
        if len(content) > MOST_BYTES:
            raise VtsearchError(f"{self.id(position)}: expected at most {MOST_BYTES:,} bytes, got {len(content):,}")
        encoded: bytes = content
        return encoded

    def stamp(self, position: int) -> Stamp:
        """The place of the row, and the time of its file; its size would have to be read."""
        table, row = self._row(position)
        return Stamp(None, table.modified_ns, f"{row}/{table.size}")

    def _row(self, position: int) -> tuple[ImageTable, int]:
        number = bisect_right(self._starts, position) - 1
        return self._tables[number], position - self._starts[number]


class _OpenGroup:
    """The row group that was read last, and its open file: each process has its own."""

    def __init__(self) -> None:
        self._process, self._file, self._group = 0, (Path(), None), (-1, None)
        self._lock = threading.Lock()

    def of(self, table: ImageTable, number: int) -> Any:
        """The images of a row group."""
        with self._lock:
            if self._process != os.getpid() or self._file[0] != table.path:
                self._process, self._file, self._group = os.getpid(), (table.path, table.open()), (-1, None)
            if self._group[0] != number:
                self._group = (-1, None)  # frees the last one first
                self._group = (number, table.read_group(self._file[1], number))
            return self._group[1]

    def __reduce__(self) -> tuple[type[_OpenGroup], tuple[()]]:
        """Pickled as empty: open files stay in their process."""
        return _OpenGroup, ()


def _labels(tables: Sequence[ImageTable]) -> tuple[NDArray[np.int64] | None, tuple[str, ...], list[str]]:
    """int64 (n,) labels, or None; the names of the classes, and remarks."""
    first, remarks = tables[0], [remark for table in tables for remark in table.remarks]
    if any(table.label is None for table in tables):
        return None, (), remarks
    for table in tables:
        if (table.label, table.class_names) != (first.label, first.class_names):
            raise ValueError(f"{table.path}: label: expected the classes of {first.path}, got others; encode it apart")
    values = [
        None if value is None else str(int(value) if first.label == "numbers" else value) for value in _all(tables)
    ]
    known = [value for value in values if value is not None and not is_missing(value)]
    if len(known) < len(values):
        lacking = f"{len(values) - len(known):,} of {len(values):,} rows have no label"
        return None, (), [*remarks, f"{first.path}: {lacking}: all are taken, without labels"]
    if not first.class_names:
        labels, classes = class_numbers(known)
        return labels, classes, [*remarks, *doubtful_names(classes)]
    labels = np.array(known, dtype=np.int64)
    if labels.max() >= len(first.class_names):
        raise ValueError(f"{first.path}: label: expected 0 to {len(first.class_names) - 1}, got {labels.max()}")
    return labels, first.class_names, remarks


def _all(tables: Sequence[ImageTable]) -> list[Any]:
    return [value for table in tables for value in table.labels()]
