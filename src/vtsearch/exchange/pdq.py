"""Lists of PDQ hashes: a line each, 64 hexadecimal digits for 256 bits, alone or in CSV with quality, id, timestamp.

Digits are copied as bytes: the first one is bits 0 to 3 of the code. Columns of a file with a header are found by
name, and those with other names are metadata as text. Without a header a line is the hash; hash and quality; hash,
quality and file name, as PDQ's own programs print; or, with the hash in the third of four columns, frame, quality, hash
and timestamp, as those for videos print.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch._atomic_io import placed_file
from vtsearch.errors import VtsearchError, first_line
from vtsearch.exchange.columns import check_bits, unicode_ids
from vtsearch.exchange.content import Content
from vtsearch.exchange.facts import Facts
from vtsearch.exchange.formats import FORMATS, ExportOptions, ImportOptions, Written
from vtsearch.exchange.items import ROWS, Items, has_given_ids, items_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.index import Index

BITS = 256
HASH, ID, QUALITY = "hash", "id", "quality"

_HASH = re.compile("[0-9a-fA-F]{64}")
_WHOLE = re.compile("[+-]?[0-9]{1,18}", re.ASCII)
_SYNONYMS = {
    "pdq": HASH,
    "pdq_hash": HASH,
    "hexhash": HASH,
    "filename": ID,
    "file_name": ID,
    "content_id": ID,
    "frame": ID,
}
_WITHOUT_HEADER = ((HASH,), (HASH, QUALITY), (HASH, QUALITY, ID), (ID, QUALITY, HASH, "timestamp"))


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write a hash on each line; as CSV with a header if the index has given ids, quality or timestamps.

    Raises:
        FileExistsError: a file of that name, unless it may be overwritten.
        ValueError: codes of another length than 256 bits; ids that are not Unicode.
        OSError: a file that cannot be written.
    """
    if index.bits != BITS:
        raise ValueError(f"index: expected codes of {BITS} bits for PDQ, got {index.bits}")
    kept = FORMATS[options.format].columns
    columns = [name for name, kind in index.columns().items() if kept.get(name) == kind]
    header = [HASH, *([ID] if has_given_ids(index) or columns else []), *columns]
    with (
        placed_file(Path(target), overwrite=options.overwrite) as fresh,
        fresh.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header] if len(header) > 1 else [])
        for items in items_of(index):
            writer.writerows(_rows(items, header))
    return Written(target)


def read(source: str, options: ImportOptions) -> Content:
    """The hashes of a list, which is read in ranges.

    Raises:
        ValueError: a line that is no hash, with its number; another length than 256 bits.
        VtsearchError: a file that is no text.
    """
    check_bits(source, BITS, options.bits)
    reader = _Reader(source)
    next(reader.ranges(), None)  # whatever is wrong with the first lines
    return Content(source, Facts(BITS), reader.ranges)


def _rows(items: Items, header: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    assert items.ids is not None
    columns = {HASH: [code.tobytes().hex() for code in items.codes], ID: unicode_ids(items.ids), **items.metadata}
    return zip(*(columns[name] for name in header), strict=True)


class _Line(NamedTuple):
    """The fields of a line, or of several where a field has line breaks."""

    number: int
    fields: list[str]


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source

    def ranges(self) -> Iterator[Items]:
        """The items, in the order of the lines.

        Raises:
            ValueError: a line that is no hash; names it.
            VtsearchError: a file that is no text.
        """
        with self._lines() as lines:
            first = next(lines, None)
            if first is None:
                return
            names = self._names(first)
            rows = [] if names is not None else [first]
            names = names or self._names_without_header(first)
            for line in lines:
                rows.append(line)
                if len(rows) == ROWS:
                    yield self._items(names, rows)
                    rows = []
            yield self._items(names, rows)

    @contextmanager
    def _lines(self) -> Iterator[Iterator[_Line]]:
        with Path(self._source).open(encoding="utf-8-sig", newline="") as file:
            yield self._parsed(csv.reader(file, strict=True))

    def _parsed(self, reader: Any) -> Iterator[_Line]:
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except (csv.Error, UnicodeDecodeError) as error:
                place = f"{self._source}:{reader.line_num + 1}"
                raise VtsearchError(
                    f"{place}: expected text in CSV, got something else ({first_line(error)})"
                ) from error
            if any(field.strip() for field in fields):
                yield _Line(reader.line_num, fields)

    def _names(self, first: _Line) -> list[str] | None:
        """The names of the columns, None for a file without a header."""
        if any(_HASH.fullmatch(field.strip()) for field in first.fields):
            return None
        names = [field.strip().lower() for field in first.fields]
        names = [_SYNONYMS.get(name, name) for name in names]
        if HASH not in names:
            raise ValueError(
                f"{self._source}:{first.number}: expected {BITS // 4} hexadecimal digits, or names of columns with "
                f"{HASH!r} among them, got {first.fields[0][:80]!r}"
            )
        if len(set(names)) < len(names):
            raise ValueError(
                f"{self._source}:{first.number}: expected different names of columns, got {', '.join(names)}"
            )
        return names

    def _names_without_header(self, first: _Line) -> list[str]:
        for names in _WITHOUT_HEADER:
            if len(names) == len(first.fields) and _HASH.fullmatch(first.fields[names.index(HASH)].strip()):
                return list(names)
        known = "; ".join(", ".join(names) for names in _WITHOUT_HEADER)
        raise ValueError(
            f"{self._source}:{first.number}: expected a first line with names of columns, or one of {known}"
        )

    def _items(self, names: Sequence[str], rows: Sequence[_Line]) -> Items:
        for number, fields in rows:
            if len(fields) != len(names):
                raise ValueError(f"{self._source}:{number}: expected {len(names)} fields, got {len(fields)}")
        columns: dict[str, list[Any]] = {name: [fields[n] for _, fields in rows] for n, name in enumerate(names)}
        digits = b"".join(self._hash(line, names.index(HASH)) for line in rows)
        del columns[HASH]
        ids = columns.pop(ID, None)
        metadata = {name: [value or None for value in values] for name, values in columns.items()}
        if QUALITY in columns:
            metadata[QUALITY] = [self._quality(line, names.index(QUALITY)) for line in rows]
        return Items(np.frombuffer(digits, dtype=np.uint8).reshape(len(rows), BITS // 8), ids, None, metadata)

    def _hash(self, line: _Line, column: int) -> bytes:
        field = line.fields[column].strip()
        if not _HASH.fullmatch(field):
            place = f"{self._source}:{line.number}"
            raise ValueError(f"{place}: expected {BITS // 4} hexadecimal digits, got {field[:80]!r}")
        return bytes.fromhex(field)

    def _quality(self, line: _Line, column: int) -> int | None:
        field = line.fields[column].strip()
        if field and not _WHOLE.fullmatch(field):
            raise ValueError(f"{self._source}:{line.number}: expected a whole number as quality, got {field[:80]!r}")
        return int(field) if field else None
