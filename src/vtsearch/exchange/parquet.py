"""Parquet files: id, code, label or labels, and the columns of metadata, in row groups. Needs the extra ``parquet``.

``code`` is fixed_size_binary(bytes); one label per item is ``label`` (int64), several are ``labels`` (a list of class
ids, ascending). Code length, bit order, threshold rule, fingerprints, class names and description are JSON under the
key ``vtsearch`` of the file's metadata. The order of rows is that of the positions. Files of other tools are read
too: codes are the column ``code``, ``codes`` or ``embedding``, or the only one of fixed-size binary values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._atomic_io import placed_file
from vtsearch.errors import VtsearchError, first_line, require_extra
from vtsearch.exchange.columns import (
    CODE,
    ID,
    LABEL,
    LABELS,
    check_bits,
    checked_columns,
    code_column,
    multi_labels,
    unicode_ids,
)
from vtsearch.exchange.content import Content, checked_codes
from vtsearch.exchange.facts import KEY, Facts
from vtsearch.exchange.formats import ExportOptions, ImportOptions, Written
from vtsearch.exchange.items import ROWS, Items, items_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.index import Index


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write a Parquet file, a row group for each 65,536 items.

    Raises:
        ModuleNotFoundError: pyarrow is missing.
        FileExistsError: a file of that name, unless it may be overwritten.
        ValueError: ids that are not Unicode; columns of metadata named ``code`` or ``labels``.
        OSError: a file that cannot be written.
    """
    pa, pq = _pyarrow()
    columns, facts = checked_columns(index.columns(), (CODE, LABELS)), Facts.of(index)
    schema = _schema(pa, index, columns, facts)
    with (
        placed_file(Path(target), overwrite=options.overwrite) as fresh,
        pq.ParquetWriter(str(fresh), schema) as writer,
    ):
        for items in items_of(index):
            writer.write_batch(_record_batch(pa, schema, items), row_group_size=ROWS)
    return Written(target)


def read(source: str, options: ImportOptions) -> Content:
    """The content of a Parquet file, which is read in ranges.

    Raises:
        ModuleNotFoundError: pyarrow is missing.
        ValueError: no column of codes, or several; codes of another length than ``bits``.
        VtsearchError: another kind of file, or a damaged one.
    """
    with _opened(source) as file:
        schema = file.schema_arrow
        column = code_column(source, _code_columns(schema), schema.names, options.codes)
        known = _known_facts(source, file)
        bits = known.bits if known is not None else options.bits
        facts = known or Facts(8 * _width(source, file, column) if bits is None else bits)
        check_bits(source, facts.bits, options.bits)
        reader = _Reader(source, column, _with_label_classes(facts, file, schema))
    return Content(source, reader.facts, reader.ranges)


def _pyarrow() -> tuple[Any, Any]:
    return require_extra("pyarrow"), require_extra("pyarrow.parquet")


@contextmanager
def _opened(source: str) -> Iterator[Any]:
    """An open file.

    Raises:
        VtsearchError: another kind of file, or a damaged one.
    """
    pa, pq = _pyarrow()
    try:
        with pq.ParquetFile(source) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise VtsearchError(f"{source}: expected a whole Parquet file, got another ({first_line(error)})") from error


# Writing


def _schema(pa: Any, index: Index, columns: dict[str, str], facts: Facts) -> Any:
    types = {"INTEGER": pa.int64(), "REAL": pa.float64(), "TEXT": pa.string()}
    fields = [pa.field(ID, pa.string(), nullable=False), pa.field(CODE, pa.binary(facts.width), nullable=False)]
    if facts.label_classes is not None:
        fields.append(pa.field(LABELS, pa.list_(pa.int64()), nullable=False))
    elif index.labels() is not None:
        fields.append(pa.field(LABEL, pa.int64(), nullable=False))
    fields += [pa.field(name, types[kind]) for name, kind in columns.items()]
    return pa.schema(fields, metadata={KEY: facts.to_json()})


def _record_batch(pa: Any, schema: Any, items: Items) -> Any:
    codes = np.ascontiguousarray(items.codes)
    assert items.ids is not None
    columns = {
        ID: pa.array(unicode_ids(items.ids), pa.string()),
        CODE: pa.FixedSizeBinaryArray.from_buffers(pa.binary(codes.shape[1]), len(codes), [None, pa.py_buffer(codes)]),
    }
    if items.labels is not None and items.labels.ndim == 1:
        columns[LABEL] = pa.array(items.labels, pa.int64())
    elif items.labels is not None:
        ends = np.cumsum(np.count_nonzero(items.labels, axis=1), dtype=np.int32)
        offsets = np.concatenate([np.zeros(1, dtype=np.int32), ends])
        columns[LABELS] = pa.ListArray.from_arrays(offsets, pa.array(np.nonzero(items.labels)[1], pa.int64()))
    columns |= {name: pa.array(values, schema.field(name).type) for name, values in items.metadata.items()}
    return pa.record_batch([columns[name] for name in schema.names], schema=schema)


# Reading


def _code_columns(schema: Any) -> list[str]:
    pa, _ = _pyarrow()
    return [field.name for field in schema if pa.types.is_fixed_size_binary(field.type)]


def _known_facts(source: str, file: Any) -> Facts | None:
    text = (file.schema_arrow.metadata or {}).get(KEY.encode())
    return None if text is None else Facts.from_json(source, text)


def _width(source: str, file: Any, column: str) -> int:
    """Bytes per code: of the column's type, or of the first code in a column of any lengths."""
    pa, _ = _pyarrow()
    kind = file.schema_arrow.field(column).type
    if pa.types.is_fixed_size_binary(kind):
        return int(kind.byte_width)
    if not pa.types.is_binary(kind) and not pa.types.is_large_binary(kind):
        raise ValueError(f"{source}: expected binary values in column {column!r}, got {kind}")
    for batch in file.iter_batches(batch_size=1, columns=[column]):
        if first := batch.num_rows and batch.column(0)[0].as_py():
            return len(first)
    raise ValueError(f"{source}: expected codes in column {column!r}, got no or an empty one; bits tells their length")


def _with_label_classes(facts: Facts, file: Any, schema: Any) -> Facts:
    """The facts with the number of classes; in a file of another tool one more than the largest class id."""
    if LABELS not in schema.names or facts.label_classes is not None:
        return facts
    largest = 0
    for batch in file.iter_batches(batch_size=ROWS, columns=[LABELS]):
        values = batch.column(0).flatten()
        largest = max([largest, *(value for value in values.to_pylist() if isinstance(value, int))])
    return Facts(facts.bits, facts.fingerprints, facts.classes, facts.description, int(largest) + 1)


class _Reader:
    """The items of a file, in ranges."""

    def __init__(self, source: str, column: str, facts: Facts) -> None:
        self._source, self._column, self.facts = source, column, facts

    def ranges(self) -> Iterator[Items]:
        """The items, in the order of the file.

        Raises:
            ValueError: null or invalid values; names the column.
            VtsearchError: a damaged file.
        """
        with _opened(self._source) as file:
            for batch in file.iter_batches(batch_size=ROWS):
                yield self._items(batch)

    def _items(self, batch: Any) -> Items:
        columns = {name: batch.column(n) for n, name in enumerate(batch.schema.names)}
        codes, ids = self._codes(columns.pop(self._column)), columns.pop(ID, None)
        single, many = columns.pop(LABEL, None), columns.pop(LABELS, None)
        return Items(
            checked_codes(self._source, codes, self.facts.bits),
            None if ids is None else [str(value) for value in self._without_nulls(ID, ids).to_pylist()],
            self._labels(single, many),
            {name: _plain_values(values) for name, values in columns.items()},
        )

    def _codes(self, values: Any) -> NDArray[np.uint8]:
        pa, _ = _pyarrow()
        values = self._without_nulls(self._column, values)
        width = self.facts.width
        try:
            fixed = values.cast(pa.binary(width))
        except pa.ArrowException as error:
            raise ValueError(
                f"{self._source}: expected codes of {width} bytes in column {self._column!r}, got {values.type} "
                f"({first_line(error)})"
            ) from error
        content = np.frombuffer(fixed.buffers()[1], dtype=np.uint8)
        return content[fixed.offset * width : (fixed.offset + len(fixed)) * width].reshape(len(fixed), width)

    def _labels(self, single: Any, many: Any) -> NDArray[Any] | None:
        if many is not None:
            return self._many_labels(self._without_nulls(LABELS, many))
        if single is None:
            return None
        pa, _ = _pyarrow()
        if not pa.types.is_integer(single.type):
            raise ValueError(f"{self._source}: expected integers in column {LABEL!r}, got {single.type}")
        values: NDArray[Any] = self._without_nulls(LABEL, single).to_numpy(zero_copy_only=False)
        return values

    def _many_labels(self, lists: Any) -> NDArray[np.uint8]:
        pa, _ = _pyarrow()
        if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)) or not pa.types.is_integer(
            lists.type.value_type
        ):
            raise ValueError(f"{self._source}: expected lists of integers in column {LABELS!r}, got {lists.type}")
        counts = lists.value_lengths().to_numpy(zero_copy_only=False)
        values = self._without_nulls(LABELS, lists.flatten()).to_numpy(zero_copy_only=False)
        return multi_labels(self._source, counts, values, self.facts.label_classes or 1)

    def _without_nulls(self, name: str, values: Any) -> Any:
        if values.null_count:
            raise ValueError(f"{self._source}: expected a value in each row of column {name!r}, got null")
        return values


def _plain_values(values: Any) -> list[Any]:
    """Values as Python has them; nanoseconds are cut off, as Python has none."""
    pa, _ = _pyarrow()
    if pa.types.is_timestamp(values.type) and values.type.unit == "ns":
        values = values.cast(pa.timestamp("us", values.type.tz), safe=False)
    plain: list[Any] = values.to_pylist()
    return plain
