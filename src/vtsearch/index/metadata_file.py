"""The metadata of one segment: a table in an SQLite file of its own, written once and never changed.

A row has the id, the label and the metadata of an item; its number is the row in the file of items, counted from 1.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._pages import is_mapped
from vtsearch.errors import VtsearchError
from vtsearch.index.arrays import checksum_of, open_bytes, verify_bytes
from vtsearch.index.metadata import OWN
from vtsearch.index.metadata_table import TABLE, columns_of, fill, quoted, schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.index.metadata import Type, Value
    from vtsearch.index.where import Where

_SETTINGS = "journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "temp_store = MEMORY"
"""Of a connection that writes a file: nobody else has it, and a file that is not whole is written again."""

_MAPPED_BYTES = 2**40
"""More than any file: SQLite maps as much of one as the system lets it."""

_NUMBERS = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS, sqlite3.SQLITE_PERM: errno.EACCES}
"""What the system calls an error of SQLite; others are errors of the device."""


Append = Callable[[sqlite3.Connection, Sequence[str]], None]
"""Appends some columns of some items, id and label among them, to the table of a database; begins a transaction."""


def write_metadata(path: Path, types: Mapping[str, Type], indexed: Iterable[str], append: Append) -> tuple[int, str]:
    """Write a table, on disk to stay before this returns; returns the bytes of its file and their SHA-256.

    Args:
        path: a new file; what is there from a change that was killed is overwritten.
        types: of its columns beside id and label.
        indexed: columns that get a B-tree.
        append: appends these columns of all rows.

    Raises:
        OSError: a disk that is full or refuses; names the file, which is deleted.
    """
    path.unlink(missing_ok=True)
    try:
        uri = f"{path.absolute().as_uri()}?mode=rwc"  # so that other files can be attached by theirs
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            for setting in _SETTINGS:
                db.execute(f"PRAGMA {setting}")
            with transaction(db):
                db.execute(schema(types))
            append(db, [*OWN, *types])
            with transaction(db):
                for name in indexed:
                    db.execute(_tree_schema(name))
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return path.stat().st_size, checksum_of(np.memmap(path, np.uint8, "r"))
    except (sqlite3.Error, OSError) as error:
        path.unlink(missing_ok=True)
        number = error.errno if isinstance(error, OSError) else _NUMBERS.get(error.sqlite_errorcode, errno.EIO)
        raise OSError(number, os.strerror(number or errno.EIO), str(path)) from error


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do the changes of a block at once."""
    db.execute("BEGIN")
    yield
    db.execute("COMMIT")


def _tree(name: str) -> str:
    """The name of the B-tree of a column."""
    return f"by_{name}"


def _tree_schema(name: str) -> str:
    return f"CREATE INDEX {quoted(_tree(name))} ON {TABLE} ({quoted(name)})"


class MetadataFile:
    """An open table. No connection outlives a question, so that any thread and any forked child may ask."""

    def __init__(self, path: Path | None, content: NDArray[np.uint8]) -> None:
        self._path, self._content = path, content
        self.types: dict[str, Type] = {}
        """Of the columns beside id and label."""
        self.indexed: frozenset[str] = frozenset()
        """Columns that have a B-tree."""

    @classmethod
    def opened(cls, path: Path, size: int, *, mapped: bool) -> MetadataFile:
        """The table of a file, of which no row is read; mapped, or else read into memory.

        Raises:
            VtsearchError: a file that is missing, of another length, or that holds something else.
        """
        file = cls(path, open_bytes(path, size, mapped=mapped))
        columns = [column[1:3] for column in file._fetched(f"PRAGMA table_info({TABLE})")]
        file.types = {name: kind for name, kind in columns if name not in OWN}
        found = dict(file._fetched("SELECT name, sql FROM sqlite_schema ORDER BY name"))
        file.indexed = frozenset(name for name in (*OWN, *file.types) if _tree(name) in found)
        if found != {TABLE: schema(file.types), **{_tree(name): _tree_schema(name) for name in file.indexed}}:
            raise VtsearchError(f"{path}: expected the table {TABLE} of an index, got another: the file is damaged")
        return file

    @classmethod
    def in_memory(cls, rows: Iterable[tuple[Value, ...]]) -> MetadataFile:
        """A table of ids and labels alone, in memory."""
        with closing(sqlite3.connect(":memory:")) as db:
            fill(db, {}, rows)
            db.commit()
            return cls(None, np.frombuffer(db.serialize(), dtype=np.uint8))

    def matching(self, where: Where) -> NDArray[np.int64]:
        """The rows that a condition holds for, in any order.

        Raises:
            ValueError, VtsearchError: as ``Where.rows``.
        """
        with self._connected() as db:
            return where.rows(db, self.types) - 1

    def rows(self, names: Sequence[str]) -> Iterator[tuple[Value, ...]]:
        """Some columns of all rows; None in those that this table does not have.

        Raises:
            VtsearchError: a damaged file.
        """
        with self._connected() as db:
            yield from db.execute(f"{self._select(names)} ORDER BY _rowid_")

    def copy_to(self, db: sqlite3.Connection, names: Sequence[str], kept: NDArray[np.int64] | None = None) -> None:
        """Append some columns of all rows, or of those that are kept, to the same table in another database.

        Rows pass through no Python: a million takes a third of a second instead of three.

        Args:
            db: opened by a URI, outside of a transaction.
            names: of columns; those that this table does not have are NULL there.
            kept: rows, ascending.
        """
        self._attach(db)
        source = f"SELECT {columns_of(names, {*OWN, *self.types})} FROM source.{TABLE}"  # noqa: S608 (checked names)
        try:
            with transaction(db):
                if kept is not None:
                    self._mark_others(db, kept)
                    source += " WHERE _rowid_ NOT IN gone"
                db.execute(f"INSERT INTO {TABLE} ({columns_of(names)}) {source} ORDER BY _rowid_")
                db.execute("DROP TABLE IF EXISTS temp.gone")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:  # the other one is new
                raise VtsearchError(f"{self._path}: {error}") from error
            raise
        db.execute("DETACH source")

    @staticmethod
    def _mark_others(db: sqlite3.Connection, kept: NDArray[np.int64]) -> None:
        """Write the rows of ``source`` that are not kept into a temporary table, ``gone``."""
        (rows,) = db.execute(f"SELECT max(_rowid_) FROM source.{TABLE}").fetchone()  # noqa: S608 (no input)
        db.execute("CREATE TEMP TABLE gone (row INTEGER PRIMARY KEY)")
        gone = np.delete(np.arange(rows or 0), kept) + 1
        db.executemany("INSERT INTO gone VALUES (?)", ((row,) for row in gone.tolist()))

    def at(self, names: Sequence[str], rows: Sequence[int]) -> list[tuple[Value, ...]]:
        """Some columns of some rows.

        Raises:
            VtsearchError: a damaged file.
        """
        if not rows:
            return []
        query = f"{self._select(names)} WHERE _rowid_ = ?"
        with self._connected() as db:
            return [found for row in rows for found in db.execute(query, (row + 1,))]

    def verify(self, sha256: str) -> None:
        """Read all bytes and compare their checksum.

        Raises:
            VtsearchError: a file whose bytes are not those that were written.
        """
        assert self._path is not None
        verify_bytes(self._path, self._content, sha256)

    def _select(self, names: Sequence[str]) -> str:
        return f"SELECT {columns_of(names, {*OWN, *self.types})} FROM {TABLE}"  # noqa: S608 (checked names)

    def _fetched(self, query: str) -> list[tuple[Any, ...]]:
        with self._connected() as db:
            return db.execute(query).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file; to a copy of it in memory where it has been deleted or was read at once."""
        try:
            with closing(self._on_disk() or self._in_memory()) as db:
                db.execute("PRAGMA trusted_schema = OFF")
                db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
                yield db
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite quotes damaged bytes
            raise VtsearchError(f"{self._path or 'metadata'}: {error}") from error

    def _attach(self, db: sqlite3.Connection) -> None:
        """Attach the file, or a copy of it in memory, as ``source``."""
        if self._path is not None and is_mapped(self._content):
            with suppress(sqlite3.OperationalError):  # the file is gone
                db.execute("ATTACH ? AS source", (self._uri(self._path),))
                return
        db.execute("ATTACH ':memory:' AS source")
        db.deserialize(self._content.data, name="source")

    @staticmethod
    def _uri(path: Path) -> str:
        return f"{path.absolute().as_uri()}?mode=ro&immutable=1"

    def _on_disk(self) -> sqlite3.Connection | None:
        """A connection to the file; None if it was not mapped, or is gone: another process may delete it."""
        if self._path is None or not is_mapped(self._content):
            return None
        try:
            # This opens the file, which then may be deleted.
            return sqlite3.connect(self._uri(self._path), uri=True, isolation_level=None)
        except sqlite3.OperationalError:
            if self._path.exists():
                raise
            return None

    def _in_memory(self) -> sqlite3.Connection:
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.deserialize(self._content.data)
        return db
