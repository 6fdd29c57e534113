"""Tables of images: CSV or Parquet with paths, labels and an optional split column."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.image_files import ImageFilesSource, class_numbers, refuse
from vtsearch.data.sources.label_parser import LabelledItems
from vtsearch.errors import VtsearchError, require_extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vtsearch.data.sources.image_files import Report

SUFFIXES = (".csv", ".parquet")
PATH, LABEL, SPLIT = "path", "label", "split"
PARTS: Mapping[str, tuple[str, ...]] = {
    "query": ("query",),
    "train": ("train",),
    "database": ("database",),
    "train+database": ("train", "database"),
    "": (),
}
"""Value of the split column -> parts of the image."""


class ManifestSource(ImageFilesSource):
    """The images of a table with a row per image.

    Columns: ``path``; then either ``label``, the name or number of the class, or one column of zeros and ones per
    class, with its name; and optionally ``split`` with query, train, database, train+database or nothing.

    Args:
        file: ``.csv`` with a line of column names, or ``.parquet``.
        root: the folder that the paths are relative to; by default the file's own.
        report: called with each fault, by default raised; rows with a fault are skipped.

    Raises:
        FileNotFoundError: no such file, or an image that does not exist (with file and line).
        ValueError: another suffix; no path column or no labels; no rows; a row with another number of fields, a label
            that is not 0 or 1, an unknown part (with file and line).
        VtsearchError: not a Parquet file.
    """

    def __init__(self, file: str | Path, root: str | Path | None = None, *, report: Report = refuse) -> None:
        table = read_table(Path(file), report)
        locations = [f"{file}:{line}" for line in table.pop(LINE)]
        if PATH not in table or not table.keys() - {PATH, SPLIT}:
            wanted = "the columns path and label, or path and one per class"
            raise ValueError(f"{file}: expected {wanted}, got {', '.join(table) or 'none'}")
        names, splits = table.pop(PATH), table.pop(SPLIT, None)
        if not names:
            raise ValueError(f"{file}: expected rows, got none")
        rows, classes = _label_rows(table)
        items, folder = LabelledItems(report), Path(file).parent if root is None else Path(root)
        at = [
            items.add(folder / name, name, labels, where)
            for name, labels, where in zip(names, rows, locations, strict=True)
        ]
        self.parts: dict[str, NDArray[np.int64]] | None = (
            None if splits is None else _parts(splits, at, locations, report)
        )
        """Part -> positions, from the split column; None without one."""
        super().__init__(items.names, items.paths, items.label_array(), classes, items.where, report=report)


LINE = "\n"  # not the name of any column


def read_table(file: Path, report: Report = refuse) -> dict[str, list[Any]]:
    """Column name -> its values as text, with their line numbers under ``LINE``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another suffix, or a row with more or fewer fields than columns.
        VtsearchError: not a Parquet file.
    """
    if file.suffix not in SUFFIXES:
        raise ValueError(f"manifest: expected a file ending in {' or '.join(SUFFIXES)}, got {file}")
    return _read_csv(file, report) if file.suffix == ".csv" else _read_parquet(file)


def _read_csv(file: Path, report: Report) -> dict[str, list[Any]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        head = next(reader, [])
        lines: list[int] = []
        rows: list[list[str]] = []
        for row in reader:
            if row and len(row) != len(head):
                fault = f"expected {len(head)} fields, as there are columns, got {len(row)}"
                report("labels", ValueError(f"{file}:{reader.line_num}: {fault}"))
            elif row:
                lines.append(reader.line_num)
                rows.append(row)
    columns = zip(*rows, strict=True) if rows else ([] for _ in head)
    return {LINE: lines, **{name: list(column) for name, column in zip(head, columns, strict=True)}}


def _read_parquet(file: Path) -> dict[str, list[Any]]:
    pyarrow = require_extra("pyarrow")
    if not file.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(file))
    try:
        table = require_extra("pyarrow.parquet").read_table(file)
    except (OSError, pyarrow.ArrowException) as reason:
        raise VtsearchError(f"{file}: expected a Parquet file: {reason}") from reason
    columns = {name: [_text(value) for value in table[name].to_pylist()] for name in table.column_names}
    return {LINE: list(range(1, table.num_rows + 1)), **columns}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        str(int(value))
        if isinstance(value, (bool, int)) or (isinstance(value, float) and value % 1 == 0)
        else str(value)
    )


def _label_rows(table: Mapping[str, list[str]]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Labels per row, and the names of the classes."""
    others = [name for name in table if name != LABEL]
    if LABEL in table and not others:
        numbers, classes = class_numbers(table[LABEL])
        return [(str(number),) for number in numbers.tolist()], classes
    return list(zip(*table.values(), strict=True)), tuple(table)


def _parts(
    splits: list[str], positions: list[int | None], locations: list[str], report: Report
) -> dict[str, NDArray[np.int64]]:
    members: dict[str, list[int]] = {"query": [], "train": [], "database": []}
    for split, position, where in zip(splits, positions, locations, strict=True):
        if split not in PARTS:
            known = ", ".join(name for name in PARTS if name)
            report("labels", ValueError(f"{where}: split: expected one of {known} or nothing, got {split!r}"))
        elif position is not None:
            for part in PARTS[split]:
                members[part].append(position)
    return {part: np.array(found, dtype=np.int64) for part, found in members.items() if found}
