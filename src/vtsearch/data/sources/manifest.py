"""Tables of images: CSV or Parquet with paths, labels and an optional split column."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.class_names import doubtful_names, is_missing
from vtsearch.data.sources.image_files import ImageFilesSource, class_numbers, refuse
from vtsearch.data.sources.label_parser import LabelledItems
from vtsearch.data.sources.text_files import read_text
from vtsearch.errors import VtsearchError, require_extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vtsearch.data.sources.decode import PixelRule
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
    class, with its name; and optionally ``split`` with query, train, database, train+database or nothing. Beside
    ``label`` other columns are not read; ``remarks`` lists them.

    Args:
        file: ``.csv`` with a line of column names, or ``.parquet``.
        root: the folder that the paths are relative to; by default the file's own.
        strip_prefix: removed from the beginning of each path, such as the folder of the images on another computer.
        pixel_rule: "published" for the table of a published protocol.
        report: called with each fault, by default raised; rows with a fault are skipped.

    Raises:
        FileNotFoundError: no such file, or an image that does not exist (with file and line).
        ValueError: another suffix or encoding; no path column or no labels; two columns of one name; no rows; a row
            with another number of fields, a label that is not 0 or 1, a missing label (nothing, ``nan``, ``null``, a
            negative number), a path without the prefix, an unknown part (with file and line).
        VtsearchError: not a Parquet file.
    """

    def __init__(
        self,
        file: str | Path,
        root: str | Path | None = None,
        *,
        strip_prefix: str = "",
        pixel_rule: PixelRule = "upright",
        report: Report = refuse,
    ) -> None:
        table = read_table(Path(file), report)
        locations = [f"{file}:{line}" for line in table.pop(LINE)]
        _check_columns(file, table)
        names, splits = table.pop(PATH), table.pop(SPLIT, None)
        rows, classes, remarks = _label_rows(file, table, locations, report)
        items = LabelledItems(report, columns=() if LABEL in table else classes, strip_prefix=strip_prefix)
        folder = Path(file).parent if root is None else Path(root)
        at = [
            None if labels is None else items.add(folder, name, labels, where)
            for name, labels, where in zip(names, rows, locations, strict=True)
        ]
        self.parts: dict[str, NDArray[np.int64]] | None = (
            None if splits is None else _parts(splits, at, locations, report)
        )
        """Part -> positions, from the split column; None without one."""
        super().__init__(
            items.names,
            items.paths,
            items.label_array(),
            classes,
            items.where,
            pixel_rule=pixel_rule,
            remarks=[*remarks, *doubtful_names(classes)],
            report=report,
        )


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
    reader = csv.reader(io.StringIO(read_text(file), newline=""), skipinitialspace=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        head = [name.strip() for name in next(reader, [])]
        for row in reader:
            if row and len(row) != len(head):
                fault = f"expected {len(head)} fields, as there are columns, got {len(row)}"
                report("labels", ValueError(f"{file}:{reader.line_num}: {fault}"))
            elif row:
                lines.append(reader.line_num)
                rows.append(row)
    except csv.Error as reason:
        raise ValueError(f"{file}:{reader.line_num}: expected a table of comma-separated values: {reason}") from reason
    columns = zip(*rows, strict=True) if rows else ([] for _ in head)
    return _named(file, lines, [(name, list(column)) for name, column in zip(head, columns, strict=True)])


def _named(file: Path, lines: list[int], columns: list[tuple[str, list[str]]]) -> dict[str, list[Any]]:
    names = [name for name, _ in columns]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f"{file}: expected columns of different names, got {repeated[0]!r} {names.count(repeated[0])} times"
        )
    return {LINE: lines, **dict(columns)}


def _read_parquet(file: Path) -> dict[str, list[Any]]:
    pyarrow = require_extra("pyarrow")
    if not file.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(file))
    try:
        table = require_extra("pyarrow.parquet").read_table(file)
    except (OSError, pyarrow.ArrowException) as reason:
        raise VtsearchError(f"{file}: expected a Parquet file: {reason}") from reason
    columns = [
        (name, [_text(value) for value in column.to_pylist()])
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return _named(file, list(range(1, table.num_rows + 1)), columns)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        str(int(value))
        if isinstance(value, (bool, int)) or (isinstance(value, float) and value % 1 == 0)
        else str(value)
    )


def _check_columns(file: str | Path, table: Mapping[str, list[str]]) -> None:
    if PATH not in table or not table.keys() - {PATH, SPLIT}:
        wanted = "the columns path and label, or path and one per class"
        raise ValueError(f"{file}: expected {wanted}, got {', '.join(table) or 'none'}")
    if not table[PATH]:
        raise ValueError(f"{file}: expected rows, got none")


def _label_rows(
    file: str | Path, table: Mapping[str, list[str]], locations: list[str], report: Report
) -> tuple[list[tuple[str, ...] | None], tuple[str, ...], list[str]]:
    """Labels per row (None for a missing one), the names of the classes, and a remark about unread columns."""
    if LABEL not in table:
        return list(zip(*table.values(), strict=True)), tuple(table), []
    names: list[str | None] = []
    for label, where in zip((text.strip() for text in table[LABEL]), locations, strict=True):
        names.append(None if is_missing(label) else label)
        if names[-1] is None:
            report("labels", ValueError(f"{where}: label: expected the name or number of a class, got {label!r}"))
    numbers, classes = class_numbers([name for name in names if name is not None])
    left = iter(numbers.tolist())
    rows: list[tuple[str, ...] | None] = [None if name is None else (str(next(left)),) for name in names]
    others = [name for name in table if name != LABEL]
    remark = f"{file}: with a column label, other columns are not read: {', '.join(others)}"
    return rows, classes, [remark] if others else []


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
