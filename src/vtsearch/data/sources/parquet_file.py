"""A Parquet file with encoded images: its column of images, its rows by group, and its classes."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError, require_extra

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".parquet"
BYTES, PATH, LABEL = "bytes", "path", "label"
USUAL = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "bytes")
"""Names of the column of images, where several columns could be it; the first wins."""


@dataclass(frozen=True)
class ImageTable:
    """A Parquet file with a column of images."""

    path: Path
    size: int
    modified_ns: int
    column: str
    """Of the images, as Parquet names it: ``image.bytes`` for a struct."""
    starts: tuple[int, ...]
    """First row of each row group, and the number of rows."""
    label: str | None
    """How labels are stored: "numbers", "names", or None for no column ``label`` of this kind."""
    class_names: tuple[str, ...]
    """Of the numbers, from the metadata of Hugging Face's datasets; empty if there are none."""
    remarks: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.starts[-1]

    def labels(self) -> list[Any]:
        """The values of the column ``label``; None where a row has none.

        Raises:
            VtsearchError: a damaged file.
        """
        with _open(self.path) as file, _faults_of(self.path):
            values: list[Any] = file.read(columns=[LABEL], use_threads=False)[LABEL].to_pylist()
            return values

    def open(self) -> Any:
        """The ``ParquetFile``, from which ``read_group`` reads.

        Raises:
            FileNotFoundError: the file is gone.
            VtsearchError: a damaged file, or one that has changed since it was opened first.
        """
        now = os.stat(self.path)  # noqa: PTH116
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
            raise VtsearchError(f"{self.path} has changed since its rows were counted; run the command again")
        return _open(self.path)

    def read_group(self, file: Any, number: int) -> Any:
        """The images of a row group as a chunked array.

        Raises:
            VtsearchError: a damaged file.
        """
        with _faults_of(self.path):
            return file.read_row_group(number, columns=[self.column], use_threads=False).column(0)


def has_images(path: Path) -> bool:
    """Whether a Parquet file has a column of images, rather than one of paths.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: not a Parquet file.
    """
    with _open(path) as file:
        return bool(_image_columns(file.schema_arrow))


def open_table(path: Path) -> ImageTable:
    """Read the schema and the sizes of the row groups; no image is read.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no column of images, or several of which none has a usual name.
        VtsearchError: not a Parquet file.
    """
    found = os.stat(path)  # noqa: PTH116
    with _open(path) as file:
        schema, sizes = file.schema_arrow, [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    label, remarks = _label_kind(path, schema)
    return ImageTable(
        path,
        found.st_size,
        found.st_mtime_ns,
        _column(path, schema),
        tuple(accumulate(sizes, initial=0)),
        label,
        _class_names(schema) if label == "numbers" else (),
        remarks,
    )


def _open(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    with _faults_of(path):
        return require_extra("pyarrow.parquet").ParquetFile(path, pre_buffer=False)


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    """Turn the exceptions of pyarrow into a ``VtsearchError`` that names the file."""
    try:
        yield
    except (OSError, require_extra("pyarrow").ArrowException) as reason:
        raise VtsearchError(f"{path}: expected a Parquet file, whole and undamaged: {reason}") from reason


def _column(path: Path, schema: Any) -> str:
    found = _image_columns(schema)
    if not found:
        have = ", ".join(f"{column.name} ({column.type})" for column in schema) or "none"
        raise ValueError(
            f"{path}: expected a column of images (a struct with {BYTES} and {PATH}, or binary), "
            f"or a table with the columns {PATH} and {LABEL}; got {have}"
        )
    if len(found) == 1:
        return next(iter(found.values()))
    usual = [name for name in USUAL if name in found]
    if not usual:
        raise ValueError(f"{path}: expected one column of images, or one that is called image; got {', '.join(found)}")
    return found[usual[0]]


def _image_columns(schema: Any) -> dict[str, str]:
    """Name -> name in Parquet, of the columns of structs with bytes; or of binary columns, where there is no path."""
    types = require_extra("pyarrow").types
    structs = {
        column.name: f"{column.name}.{BYTES}"
        for column in schema
        if types.is_struct(column.type) and _is_binary(_field_type(column.type, BYTES))
    }
    if structs or (PATH in schema.names and LABEL in schema.names):
        return structs
    return {column.name: column.name for column in schema if _is_binary(column.type)}


def _field_type(struct: Any, name: str) -> Any:
    index = struct.get_field_index(name)
    return struct.field(index).type if index >= 0 else None


def _is_binary(kind: Any) -> bool:
    types = require_extra("pyarrow").types
    return kind is not None and (types.is_binary(kind) or types.is_large_binary(kind))


def _label_kind(path: Path, schema: Any) -> tuple[str | None, tuple[str, ...]]:
    """How labels are stored, and a remark about a column ``label`` of another kind."""
    types = require_extra("pyarrow").types
    if LABEL not in schema.names:
        return None, ()
    kind = schema.field(LABEL).type
    if types.is_integer(kind) or types.is_boolean(kind):
        return "numbers", ()
    if types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind):
        return "names", ()
    return None, (f"{path}: label: expected numbers or names, got {kind}: all images are taken, without labels",)


def _class_names(schema: Any) -> tuple[str, ...]:
    """The names of the class numbers in the metadata of Hugging Face's datasets; none if there are none."""
    try:
        names = json.loads(schema.metadata[b"huggingface"])["info"]["features"][LABEL]["names"]
    except (TypeError, KeyError, ValueError):
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
