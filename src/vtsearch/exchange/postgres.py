"""PostgreSQL tables with a column ``code`` of type bit(n), written by COPY. Needs the extra ``postgres`` (psycopg 3).

The table has ``position`` (bigint, the primary key: ties in its order give our ranking), ``id`` (text, unique),
``code``, ``label`` (bigint) or ``labels`` (an array of class ids), and the columns of metadata as bigint, double
precision or text. Code length, bit order, threshold rule, fingerprints and class names are JSON in the table's comment.
All of it is one transaction. Character i of a bit string is bit i of the code.

PostgreSQL 14 and later count the bits in which two codes differ: ``bit_count(code # B'0110')``. With the extension
pgvector, 0.7 and later, ``code <~> B'0110'`` is the same distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

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
from vtsearch.exchange.content import Content
from vtsearch.exchange.facts import KEY, Facts
from vtsearch.exchange.formats import ExportOptions, ImportOptions, Written
from vtsearch.exchange.items import ROWS, Items, codes_of, items_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.index import Index

POSITION = "position"
TABLE = "codes"
"""Name of the table where the caller gave none."""

LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL, which cuts off the rest."""

CONNECT_SECONDS = 10
WIDEST_SHOWN = 1024
"""Bits of the longest code that is written out in the queries to try."""

_TYPES = {"INTEGER": "bigint", "REAL": "double precision", "TEXT": "text"}
_INTEGERS = ("smallint", "integer", "bigint")
_MARK = f"{KEY} "
"""Beginning of the comment of a table that an export wrote."""


class Table(NamedTuple):
    """A table of a database."""

    names: tuple[str, ...]
    """Schema, if there is one, and table."""

    @classmethod
    def of(cls, name: str | None) -> Table:
        """The table with a name, such as ``codes`` or ``photos.codes``.

        Raises:
            ValueError: no name of a table.
        """
        names = tuple((name or TABLE).split("."))
        if len(names) > 2 or not all(0 < len(part.encode(errors="replace")) <= LONGEST_NAME for part in names):
            raise ValueError(
                f"table: expected TABLE or SCHEMA.TABLE of at most {LONGEST_NAME} bytes each, got {name!r}"
            )
        return cls(names)

    def quoted(self) -> Any:
        """The name as part of a statement."""
        return require_extra("psycopg.sql").Identifier(*self.names)

    def __str__(self) -> str:
        return ".".join(self.names)


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write a table, in one transaction.

    Raises:
        ModuleNotFoundError: psycopg is missing.
        FileExistsError: a table of that name, and ``overwrite`` is false.
        ValueError: a name that no table or column can have; ids that are not Unicode.
        VtsearchError: a database that refuses; a table to overwrite that no export wrote.
    """
    table, address, columns = Table.of(options.table), address_of(target), _columns(index)
    with _connected(target, address) as connection:
        _make_room(connection, table, address, overwrite=options.overwrite)
        _create(connection, table, columns)
        _copy(connection, table, index, columns)
        _finish(connection, table, Facts.of(index))
        queries = _queries(connection, table, index)
    return Written(f"{address} table {table}", queries)


def read(source: str, options: ImportOptions) -> Content:
    """The content of a table with a column of type bit(n), which is read in ranges.

    Rows of a table that an export wrote come by position, others by id.

    Raises:
        ModuleNotFoundError: psycopg is missing.
        ValueError: no column of type bit(n), or several; codes of another length than ``bits``.
        VtsearchError: no such table; a database that refuses.
    """
    table, address = Table.of(options.table), address_of(source)
    name = f"{address} table {table}"
    with _connected(source, address) as connection:
        found, comment = _described(connection, table)
        if not found:
            raise VtsearchError(f"table: expected a table of {address}, got {str(table)!r}, which does not exist")
        candidates = [column for column, (kind, _) in found.items() if kind == "bit"]
        code = code_column(name, candidates, list(found), options.codes)
        kind, bits = found[code]
        if kind != "bit":
            raise ValueError(f"{name}: expected type bit(n) in column {code!r}, got {kind}")
        check_bits(name, bits, options.bits)
        known = Facts.from_json(name, comment.removeprefix(_MARK)) if comment.startswith(_MARK) else None
        facts = known or Facts(bits)
        if LABELS in found and facts.label_classes is None:
            facts = Facts(bits, label_classes=_classes(connection, name, table, found))
    reader = _Reader(source, table, name, facts, code=code, columns=tuple(found), is_ours=known is not None)
    reader.check({column: kind for column, (kind, _) in found.items()})
    return Content(name, facts, reader.ranges)


def address_of(target: str) -> str:
    """Host and database of an address, for messages: no user and no password.

    Raises:
        ModuleNotFoundError: psycopg is missing.
        ValueError: no address.
    """
    psycopg = require_extra("psycopg")
    try:
        parts = require_extra("psycopg.conninfo").conninfo_to_dict(target)
    except psycopg.Error as error:
        raise ValueError("target: expected postgresql://USER@HOST:PORT/DATABASE, got another address") from error
    host, port = parts.get("host") or "", parts.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname') or ''}"


@contextmanager
def _connected(target: str, address: str) -> Iterator[Any]:
    """A connection with one transaction, which is committed unless an error ends the block.

    Raises:
        VtsearchError: whatever the database refuses, in its first line.
    """
    psycopg = require_extra("psycopg")
    try:
        with psycopg.connect(target, connect_timeout=CONNECT_SECONDS) as connection:
            yield connection
    except psycopg.Error as error:
        raise VtsearchError(f"{address}: {first_line(error)}") from error


# Writing


def _make_room(connection: Any, table: Table, address: str, *, overwrite: bool) -> None:
    columns, comment = _described(connection, table)
    if not columns:
        return
    if not overwrite:
        raise FileExistsError(
            f"table: expected a new table, got {table}, which {address} has; --overwrite (overwrite=True) replaces it"
        )
    if not comment.startswith(_MARK):
        raise VtsearchError(f"table: expected a table that an export wrote, got {table}, which is none")
    connection.execute(_statement("DROP TABLE {}", table.quoted()))


def _columns(index: Index) -> dict[str, str]:
    """Names and types of the columns, in their order."""
    metadata = checked_columns(index.columns(), (POSITION, CODE, LABELS))
    if long := [name for name in metadata if len(name.encode()) > LONGEST_NAME]:
        raise ValueError(f"metadata: expected names of at most {LONGEST_NAME} bytes, got {long[0]!r}")
    types = {POSITION: "bigint NOT NULL", ID: "text NOT NULL", CODE: f"bit({index.bits}) NOT NULL"}
    labels = index.labels()
    if labels is not None:
        types |= {LABEL: "bigint NOT NULL"} if labels.ndim == 1 else {LABELS: "bigint[] NOT NULL"}
    return types | {name: _TYPES[kind] for name, kind in metadata.items()}


def _create(connection: Any, table: Table, columns: dict[str, str]) -> None:
    fields = [_statement("{} " + kind, _named(name)) for name, kind in columns.items()]
    connection.execute(_statement("CREATE TABLE {} ({})", table.quoted(), _listed(fields)))


def _copy(connection: Any, table: Table, index: Index, columns: dict[str, str]) -> None:
    statement = _statement("COPY {} ({}) FROM STDIN", table.quoted(), _listed(map(_named, columns)))
    start = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for items in items_of(index):
            for row in _rows(items, start, index.bits):
                copy.write_row(row)
            start += len(items.codes)


def _rows(items: Items, start: int, bits: int) -> Iterator[tuple[Any, ...]]:
    """The values of each item in the order of ``_columns``."""
    assert items.ids is not None
    labels: list[Any] = []
    if items.labels is not None and items.labels.ndim == 1:
        labels = [items.labels.tolist()]
    elif items.labels is not None:
        labels = [[np.flatnonzero(row).tolist() for row in items.labels]]
    rows = range(start, start + len(items.codes))
    codes = bit_texts(items.codes, bits)
    return zip(rows, unicode_ids(items.ids), codes, *labels, *items.metadata.values(), strict=True)


def bit_texts(codes: NDArray[np.uint8], bits: int) -> list[str]:
    """Codes as texts of 0 and 1, bit 0 first."""
    digits = np.unpackbits(codes, axis=1, count=bits) + np.uint8(ord("0"))
    return [row.tobytes().decode("ascii") for row in digits]


def _finish(connection: Any, table: Table, facts: Facts) -> None:
    keys = table.quoted(), _named(POSITION), _named(ID)
    connection.execute(_statement("ALTER TABLE {} ADD PRIMARY KEY ({}), ADD UNIQUE ({})", *keys))
    comment = require_extra("psycopg.sql").Literal(_MARK + facts.to_json())
    connection.execute(_statement("COMMENT ON TABLE {} IS {}", table.quoted(), comment))


def _queries(connection: Any, table: Table, index: Index) -> tuple[str, ...]:
    """SQL for the items nearest to the first one, which is at distance 0."""
    first = next(codes_of(index), None)
    if first is None:
        return ()
    code = bit_texts(first[:1], index.bits)[0] if index.bits <= WIDEST_SHOWN else "..."
    name = table.quoted().as_string(connection)
    distances = [f"bit_count({CODE} # B'{code}')"]
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'vector'").fetchone() is not None:
        distances.append(f"{CODE} <~> B'{code}'")
    rest = f"AS distance FROM {name} ORDER BY distance, {POSITION} LIMIT 10;"
    return tuple(f"SELECT id, {distance} {rest}" for distance in distances)


def _statement(text: str, *parts: Any) -> Any:
    return require_extra("psycopg.sql").SQL(text).format(*parts)


def _named(column: str) -> Any:
    return require_extra("psycopg.sql").Identifier(column)


def _listed(parts: Iterable[Any]) -> Any:
    return require_extra("psycopg.sql").SQL(", ").join(parts)


# Reading


def _described(connection: Any, table: Table) -> tuple[dict[str, tuple[str, int]], str]:
    """Type and length of each column, none for a table that is not there; the table's comment."""
    name = table.quoted().as_string(connection)
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, NULL), atttypmod, obj_description(attrelid, 'pg_class') "
        "FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [name],
    ).fetchall()
    comment = rows[0][3] if rows else None
    return {column: (kind, length) for column, kind, length, _ in rows}, comment or ""


def _classes(connection: Any, name: str, table: Table, found: dict[str, tuple[str, int]]) -> int:
    """One more than the largest class id of a table that no export wrote."""
    if found[LABELS][0] not in {f"{kind}[]" for kind in _INTEGERS}:
        raise ValueError(f"{name}: expected arrays of integers in column {LABELS!r}, got {found[LABELS][0]}")
    statement = _statement("SELECT coalesce(max(each), 0) FROM {}, unnest({}) AS each", table.quoted(), _named(LABELS))
    return max(int(connection.execute(statement).fetchone()[0]), 0) + 1


class _Reader:
    """The items of a table, in ranges."""

    def __init__(
        self, source: str, table: Table, name: str, facts: Facts, *, code: str, columns: Sequence[str], is_ours: bool
    ) -> None:
        self._source, self._table, self._name, self._facts, self._code = source, table, name, facts, code
        self._order = POSITION if is_ours else ID if ID in columns else None
        self._columns = [column for column in columns if not (is_ours and column == POSITION)]

    def check(self, types: dict[str, str]) -> None:
        """Refuse labels that are no integers.

        Raises:
            ValueError: naming the column.
        """
        if LABEL in types and types[LABEL] not in _INTEGERS:
            raise ValueError(f"{self._name}: expected integers in column {LABEL!r}, got {types[LABEL]}")

    def ranges(self) -> Iterator[Items]:
        """The items in order.

        Raises:
            ValueError: null values; names the column.
            VtsearchError: a database that refuses.
        """
        fields = [
            _statement("{}::text", _named(name)) if name == self._code else _named(name) for name in self._columns
        ]
        statement = _statement("SELECT {} FROM {}", _listed(fields), self._table.quoted())
        if self._order is not None:
            statement += _statement(" ORDER BY {}", _named(self._order))
        with _connected(self._source, self._name) as connection, connection.cursor(name="vtsearch_import") as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(ROWS):
                yield self._items(dict(zip(self._columns, zip(*rows, strict=True), strict=True)))

    def _items(self, columns: dict[str, Sequence[Any]]) -> Items:
        codes = self._without_nulls(self._code, columns.pop(self._code))
        ids, single, many = (columns.pop(name, None) for name in (ID, LABEL, LABELS))
        return Items(
            _codes(codes, self._facts.bits),
            None if ids is None else list(map(str, self._without_nulls(ID, ids))),
            self._labels(single, many),
            {name: list(values) for name, values in columns.items()},
        )

    def _labels(self, single: Sequence[Any] | None, many: Sequence[Any] | None) -> NDArray[Any] | None:
        if many is not None:
            lists = self._without_nulls(LABELS, many)
            values = self._without_nulls(LABELS, [value for each in lists for value in each])
            counts = np.array([len(each) for each in lists])
            return multi_labels(self._name, counts, np.array(values, dtype=np.int64), self._facts.label_classes or 1)
        if single is None:
            return None
        return np.array(self._without_nulls(LABEL, single), dtype=np.int64)

    def _without_nulls(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        if None in values:
            raise ValueError(f"{self._name}: expected a value in each row of column {name!r}, got null")
        return values


def _codes(texts: Sequence[str], bits: int) -> NDArray[np.uint8]:
    digits = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).reshape(len(texts), bits)
    return np.packbits(digits - np.uint8(ord("0")), axis=1)
