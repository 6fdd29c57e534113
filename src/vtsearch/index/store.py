"""``index.sqlite``: segments, items and settings of an index. The only module with SQL."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError
from vtsearch.index.labels import LabelForm
from vtsearch.index.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


FILE_NAME = "index.sqlite"
FORMAT = 1
APPLICATION_ID = 0x76747378  # "vtsx"

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fingerprints (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (number INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, items INTEGER NOT NULL,
                       sha256 TEXT NOT NULL);
CREATE TABLE items (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label, metadata TEXT);
"""


@dataclass(frozen=True)
class About:
    """Settings of a whole index; only the form of labels is set later, by the first items."""

    bits: int
    bit_order: str = "big"
    threshold: str = "feature > 0"
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    """Class names by class id; empty if nobody gave them."""
    description: Mapping[str, str] = field(default_factory=dict)
    """Free-form metadata: where the images are, which model made the codes."""
    labels: LabelForm = field(default_factory=LabelForm)


class Store:
    """One connection to ``index.sqlite``. SQLite's errors come out as VtsearchError with the file's path."""

    def __init__(self, path: Path) -> None:
        """Open the existing file ``path``."""
        self.path = path
        with self._translated():
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10
            )
        try:
            self._check_format()
        except VtsearchError:
            self._db.close()
            raise

    @classmethod
    def create(cls, path: Path, about: About) -> Store:
        """Write a new, empty ``index.sqlite`` in one transaction and open it."""
        rows = {
            "bits": about.bits,
            "bit_order": about.bit_order,
            "threshold": about.threshold,
            "classes": list(about.classes),
            "description": dict(about.description),
            "labels": asdict(about.labels),
        }
        with _translated(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
            db.execute("BEGIN")
            db.executemany("INSERT INTO about VALUES (?, ?)", [(name, json.dumps(row)) for name, row in rows.items()])
            db.executemany("INSERT INTO fingerprints VALUES (?, ?)", about.fingerprints.items())
            db.execute("COMMIT")
        return cls(path)

    def about(self) -> About:
        """The settings of the whole index."""
        with self._translated():
            rows = {name: json.loads(value) for name, value in self._db.execute("SELECT name, value FROM about")}
            fingerprints = dict(self._db.execute("SELECT name, value FROM fingerprints"))
        try:
            rows |= {"classes": tuple(rows["classes"]), "labels": LabelForm(**rows["labels"])}
            return About(fingerprints=fingerprints, **rows)
        except (KeyError, TypeError) as error:
            raise VtsearchError(f"{self.path}: expected a complete table 'about', got {sorted(rows)}") from error

    def segments(self) -> list[Segment]:
        """All segments in the order of their items."""
        with self._translated():
            rows = self._db.execute("SELECT file, items, sha256 FROM segments ORDER BY number")
            return [Segment(*row) for row in rows]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that nobody else writes beside; rolled back if the block raises."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def add_segment(self, segment: Segment) -> None:
        """Name a segment that is already on disk."""
        self._db.execute(
            "INSERT INTO segments (file, items, sha256) VALUES (?, ?, ?)", (segment.file, segment.items, segment.sha256)
        )

    def set_labels(self, form: LabelForm) -> None:
        """Set the form of labels, that of the first items."""
        self._db.execute("UPDATE about SET value = ? WHERE name = 'labels'", (json.dumps(asdict(form)),))

    def add_items(self, first: int, ids: Sequence[str], labels: Iterable[object], metadata: Iterable[object]) -> None:
        """Insert items at positions ``first``, ``first + 1``, ...; ids must be new."""
        rows = zip(range(first, first + len(ids)), ids, labels, metadata, strict=True)
        self._db.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)

    def known_id(self, ids: Iterable[str]) -> str | None:
        """The first of ``ids`` that is already in the index."""
        find = "SELECT 1 FROM items WHERE id = ?"
        with self._translated():
            return next((name for name in ids if self._db.execute(find, (name,)).fetchone()), None)

    def ids(self, count: int) -> list[str]:
        """The ids of the first ``count`` items."""
        with self._translated():
            rows = self._db.execute("SELECT id FROM items WHERE position < ? ORDER BY position", (count,))
            return [name for (name,) in rows]

    def ids_at(self, positions: Iterable[int]) -> dict[int, str]:
        """Position -> id of some items."""
        find = "SELECT id FROM items WHERE position = ?"
        with self._translated():
            return {position: self._db.execute(find, (position,)).fetchone()[0] for position in positions}

    def position(self, name: str) -> int | None:
        """The position of an id."""
        with self._translated():
            row = self._db.execute("SELECT position FROM items WHERE id = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def labels(self, count: int) -> list[object]:
        """The stored labels of the first ``count`` items."""
        with self._translated():
            rows = self._db.execute("SELECT label FROM items WHERE position < ? ORDER BY position", (count,))
            return [label for (label,) in rows]

    def metadata(self, count: int) -> list[dict[str, object]]:
        """Metadata of the first ``count`` items."""
        with self._translated():
            rows = self._db.execute("SELECT metadata FROM items WHERE position < ? ORDER BY position", (count,))
            return [json.loads(text) if text else {} for (text,) in rows]

    def verify(self) -> None:
        """Let SQLite check its pages, then compare items with segments."""
        with self._translated():
            (answer,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            items, last = self._db.execute("SELECT count(*), ifnull(max(position) + 1, 0) FROM items").fetchone()
            (expected,) = self._db.execute("SELECT ifnull(sum(items), 0) FROM segments").fetchone()
        if answer != "ok":
            raise VtsearchError(f"{self.path}: corrupt: {answer}")
        if not items == last == expected:
            raise VtsearchError(f"{self.path}: expected {expected} items as in its segments, got {items}")

    def close(self) -> None:
        """Close the connection; the store is of no use afterwards."""
        self._db.close()

    def _check_format(self) -> None:
        with self._translated():
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise VtsearchError(f"{self.path}: expected an index, got another SQLite file")
        if version != FORMAT:
            raise VtsearchError(
                f"{self.path}: expected index format {FORMAT}, got {version}: made by another vtsearch?"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with _translated(self.path):
            yield


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise VtsearchError(f"{path}: {error}") from error
