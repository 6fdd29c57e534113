"""The table of metadata in SQLite: a row for each item, with its id, its label and its columns of metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.index.metadata import OWN

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Container, Iterable, Mapping, Sequence

    from vtsearch.index.metadata import Type, Value

TABLE = "items"


def fill(db: sqlite3.Connection, types: Mapping[str, Type], rows: Iterable[tuple[Value, ...]]) -> None:
    """Make the table in a database, with these rows."""
    db.execute(schema(types))
    insert(db, [*OWN, *types], rows)


def insert(db: sqlite3.Connection, names: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> None:
    """Append rows of some columns to the table."""
    places = ", ".join("?" * len(names))
    db.executemany(f"INSERT INTO {TABLE} ({columns_of(names)}) VALUES ({places})", rows)  # noqa: S608 (checked names)


def columns_of(names: Iterable[str], there: Container[str] | None = None) -> str:
    """Checked names of columns as SQL lists them; NULL for those that are not ``there``."""
    return ", ".join(quoted(name) if there is None or name in there else "NULL" for name in names)


def quoted(name: str) -> str:
    """A checked name of a column as SQL takes it, whatever word it is."""
    return f'"{name}"'


def schema(types: Mapping[str, Type]) -> str:
    """How SQLite remembers that the table was made."""
    columns = ", ".join(f"{quoted(name)} {kind}".rstrip() for name, kind in {**OWN, **types}.items())
    return f"CREATE TABLE {TABLE} ({columns})"
