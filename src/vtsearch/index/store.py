"""``index.sqlite``: settings and segments of an index, which change at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vtsearch._atomic_io import sync_folder
from vtsearch._validate import whole_number
from vtsearch.errors import VtsearchError
from vtsearch.index.about import About, checked_name, new_name
from vtsearch.index.decisions import Decisions
from vtsearch.index.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


FILE_NAME = "index.sqlite"
FORMAT = 2
APPLICATION_ID = 0x76747378  # "vtsx"

BUSY_SECONDS = 60
"""How long to wait for another writer, who holds readers up for the instant of its commit only."""

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fingerprints (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, codes TEXT NOT NULL UNIQUE,
                       items INTEGER NOT NULL, rows INTEGER NOT NULL,
                       id_bytes INTEGER NOT NULL, metadata_bytes INTEGER NOT NULL,
                       codes_sha256 TEXT NOT NULL, items_sha256 TEXT NOT NULL, metadata_sha256 TEXT NOT NULL,
                       tables TEXT NOT NULL, table_count INTEGER NOT NULL, tables_sha256 TEXT NOT NULL);
CREATE TABLE replaced (file TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE decisions (number INTEGER PRIMARY KEY, verdict TEXT NOT NULL, ids TEXT NOT NULL);
"""
_ABOUT = "SELECT name, value FROM about ORDER BY name"
_FINGERPRINTS = "SELECT name, value FROM fingerprints ORDER BY name"
_SEGMENTS = """SELECT number, name, codes, items, rows, id_bytes, metadata_bytes,
                      codes_sha256, items_sha256, metadata_sha256, tables, table_count, tables_sha256
               FROM segments ORDER BY number"""
_REPLACED = "SELECT file FROM replaced ORDER BY file"
_DECISIONS = "SELECT verdict, ids FROM decisions ORDER BY number"
_CHECKSUM = "checksum"
_FILE = re.compile("(codes|items|tables)/[0-9a-f]{32}[.]npy|metadata/[0-9a-f]{32}[.]sqlite")


class Contents(NamedTuple):
    """What ``index.sqlite`` holds."""

    about: About
    segments: list[Segment]
    replaced: list[str]
    """Files that segments had before, relative to the folder: to be deleted."""


class _OneReader:
    """Lets one thread of this process read at a time.

    SQLite gives a process that reads further shared locks without asking whether a writer waits. Threads that overlap
    without a gap would keep the writer of another process waiting for ever.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        """Replace the lock in a forked child, where nobody would release it."""
        self.lock = threading.Lock()


_ONE_READER = _OneReader()


class Store:
    """The file ``index.sqlite``, opened for each reading and writing alone: nothing stays open between them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Contents:
        """Settings and segments, of one moment and with a checksum that holds.

        Raises:
            VtsearchError: another file, another format, a damaged file.
        """
        with _ONE_READER.lock, _connected(self.path) as db:
            db.execute("BEGIN")
            contents = _contents(db, self.path)
            db.execute("COMMIT")
        return contents

    def decisions(self) -> Decisions:
        """What people said of near-duplicates.

        Raises:
            VtsearchError: a damaged file.
        """
        with _ONE_READER.lock, _connected(self.path) as db:
            db.execute("BEGIN")
            about = _contents(db, self.path).about
            decisions = _decisions(db, self.path, about)
            db.execute("COMMIT")
        return decisions

    @contextmanager
    def writing(self, uuid: str) -> Iterator[Writer]:
        """A transaction that nobody else writes beside; rolled back if the block raises.

        The file that the transaction is in is at ``path`` and holds the index of this uuid, at the beginning and at the
        end: nothing is committed to a folder that has been replaced.

        Raises:
            VtsearchError: the index at this path is another one; another process goes on writing.
            OSError: a disk that refuses.
        """
        before = _identity(self.path)
        with _connected(self.path) as db:
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("BEGIN IMMEDIATE")
            try:
                sync_folder(
                    self.path.parent
                )  # whose commit a killed process may have made visible, and not yet durable
                contents = _contents(db, self.path)
                self._prove(before, contents.about.uuid == uuid)
                yield Writer(db, self.path, contents, lambda: self._prove(before, same=True))
                self._prove(before, same=True)
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def _prove(self, before: tuple[int, int], same: bool) -> None:
        if not same or _identity(self.path) != before:
            raise another_index(self.path)

    def verify(self, uuid: str) -> None:
        """Let SQLite check its pages, and compare the checksum of all rows.

        Raises:
            VtsearchError: a damaged file, or that of another index.
        """
        with _connected(self.path) as db:
            (answer,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if answer != "ok":
                raise VtsearchError(f"{self.path}: damaged: {answer}")
        if self.read().about.uuid != uuid:
            raise another_index(self.path)
        self.decisions()


class Writer:
    """A transaction in ``index.sqlite``."""

    def __init__(self, db: sqlite3.Connection, path: Path, contents: Contents, prove: Callable[[], None]) -> None:
        self._db, self._path, self.contents, self._prove = db, path, contents, prove

    def prove(self) -> None:
        """The folder still holds the file that this transaction is in.

        Raises:
            VtsearchError: another index has taken its place.
        """
        self._prove()

    def replace_segments(self, segments: Sequence[Segment], about: About) -> None:
        """Name the files of all segments, which are already on disk, and change the settings.

        Files that were named before and are not now are ``replaced``. The next files get other names.

        Args:
            segments: of the index from now on.
            about: settings of the index from now on.
        """
        before = self.contents
        gone = sorted({*before.replaced, *(_files(before.segments) - _files(segments))})
        about = replace(about, next=new_name())
        self._db.execute("DELETE FROM segments")
        self._db.executemany(
            "INSERT INTO segments (name, codes, items, rows, id_bytes, metadata_bytes, codes_sha256, items_sha256, "
            "metadata_sha256, tables, table_count, tables_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            map(astuple, segments),
        )
        self._db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.rows())
        self._db.executemany("INSERT OR IGNORE INTO replaced VALUES (?)", ((file,) for file in gone))
        _sign(self._db)
        self.contents = Contents(about, list(segments), gone)

    def decisions(self) -> Decisions:
        """What people said of near-duplicates.

        Raises:
            VtsearchError: a damaged file.
        """
        return _decisions(self._db, self._path, self.contents.about)

    def replace_decisions(self, decisions: Decisions) -> None:
        """Set what people said of near-duplicates."""
        about = replace(self.contents.about, decisions=decisions.checksum())
        self._db.execute("DELETE FROM decisions")
        self._db.executemany("INSERT INTO decisions (verdict, ids) VALUES (?, ?)", decisions.rows())
        self._db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.rows())
        _sign(self._db)
        self.contents = self.contents._replace(about=about)

    def forget_replaced(self, files: Sequence[str]) -> None:
        """Take files that have been deleted from the list of those that are to be."""
        self._db.executemany("DELETE FROM replaced WHERE file = ?", ((file,) for file in files))
        _sign(self._db)
        self.contents = self.contents._replace(replaced=sorted({*self.contents.replaced} - {*files}))


def _files(segments: Sequence[Segment]) -> set[str]:
    return {f"{folder}/{name}" for segment in segments for folder, name in segment.files.items()}


def new_file(about: About) -> bytes:
    """The bytes of ``index.sqlite`` of an index without items."""
    with tempfile.TemporaryDirectory(prefix="vtsearch-") as folder:
        path = Path(folder) / FILE_NAME
        _fill(path, about)
        return path.read_bytes()


def _fill(path: Path, about: About) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = MEMORY")
        db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {_SCHEMA}")
        db.executemany("INSERT INTO about VALUES (?, ?)", about.rows())
        db.executemany("INSERT INTO fingerprints VALUES (?, ?)", sorted(about.fingerprints.items()))
        _sign(db)


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        uri = f"{path.as_uri()}?mode=rw"  # "rw" falls back to reading where the medium is read-only
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)) as db:
            db.execute("PRAGMA trusted_schema = OFF")
            yield db
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite quotes damaged bytes
        raise _translated(path, error) from error


def _translated(path: Path, error: Exception) -> VtsearchError:
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_BUSY:
        return VtsearchError(f"{path}: another process has been writing to it for {BUSY_SECONDS} s")
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return another_index(path)
    return VtsearchError(f"{path}: {error}")


def another_index(path: Path) -> VtsearchError:
    """The error of a folder in which another index has taken the place of one."""
    return VtsearchError(f"{path.parent}: another index has taken the place of the one that was opened; open it again")


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 (as everywhere in this module, no file is opened: closing it would unlock)
    except OSError as error:
        raise VtsearchError(f"{path}: expected the index that was opened, got {error.strerror}") from error
    return found.st_dev, found.st_ino


def _contents(db: sqlite3.Connection, path: Path) -> Contents:
    """Settings and segments of a file whose checksum holds."""
    _check_format(db, path)
    tables = _tables(db)
    rows = dict(tables[0])
    if rows.get(_CHECKSUM) != json.dumps(_checksum(tables)):
        raise VtsearchError(f"{path}: damaged: its checksum is not that of its rows")
    del rows[_CHECKSUM]
    try:
        about = About.of_rows(rows, dict(tables[1]))
        segments = [_segment(row, about.bits) for _, *row in tables[2]]
        return Contents(about, segments, [_file(name, segments) for (name,) in tables[3]])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise VtsearchError(f"{path}: expected the tables of an index, got {error!r}") from error


def _decisions(db: sqlite3.Connection, path: Path, about: About) -> Decisions:
    """What people said of near-duplicates, with a checksum that holds."""
    try:
        decisions = Decisions.of_rows(db.execute(_DECISIONS).fetchall())
    except (TypeError, ValueError, RecursionError) as error:
        raise VtsearchError(f"{path}: expected decisions, got {error!r}") from error
    if decisions.checksum() != (about.decisions or Decisions().checksum()):
        raise VtsearchError(f"{path}: damaged: the checksum of its decisions is another one")
    return decisions


def _check_format(db: sqlite3.Connection, path: Path) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise VtsearchError(f"{path}: expected an index, got another SQLite file")
    if version != FORMAT:
        made_by = "an earlier" if version < FORMAT else "a later"
        remedy = "encode its images again" if version < FORMAT else "read it with that one"
        raise VtsearchError(f"{path}: expected index format {FORMAT}, got {version}, of {made_by} vtsearch: {remedy}")


def _segment(row: Sequence[Any], bits: int) -> Segment:
    name, codes, items, rows, id_bytes, metadata_bytes, *others = row
    codes_sha256, items_sha256, metadata_sha256, tables, table_count, tables_sha256 = others
    for size in (items, rows, id_bytes, metadata_bytes):
        whole_number("size", size, 0)
    if items > rows:
        raise ValueError(f"expected at most {rows} items, got {items}")
    names, checksums = (checked_name(name), checked_name(codes)), (codes_sha256, items_sha256, metadata_sha256)
    file_of_tables = checked_name(tables) if tables else ""
    count = whole_number("table_count", table_count, *((1, bits) if tables else (0, 0)))
    return Segment(*names, items, rows, id_bytes, metadata_bytes, *checksums, file_of_tables, count, tables_sha256)


def _file(name: Any, segments: Sequence[Segment]) -> str:
    """The name of a file that may be deleted."""
    if not isinstance(name, str) or not _FILE.fullmatch(name) or name in _files(segments):
        raise ValueError(f"expected a file that no segment has, got {name!r}")
    return name


def _tables(db: sqlite3.Connection) -> list[list[Any]]:
    return [db.execute(query).fetchall() for query in (_ABOUT, _FINGERPRINTS, _SEGMENTS, _REPLACED)]


def _checksum(tables: list[list[Any]]) -> str:
    """SHA-256 of all rows as JSON, but of the checksum's own."""
    about = [row for row in tables[0] if row[0] != _CHECKSUM]
    return hashlib.sha256(json.dumps([about, *tables[1:]], default=repr).encode()).hexdigest()


def _sign(db: sqlite3.Connection) -> None:
    db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (_CHECKSUM, json.dumps(_checksum(_tables(db)))))
