"""Interception of Python's file calls: each is counted, applied to the model of a disk, and may fail or be the last.

Only calls inside ``Machine.running``, on paths below the folder of the disk, are intercepted. They also change the real
files, but never wait for a real disk.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import sqlite3
import uuid
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from unittest import mock
from urllib.parse import unquote, urlsplit

from simulation.disk import File, Folder

if TYPE_CHECKING:
    import random
    from collections.abc import Buffer, Callable, Iterator

    from simulation.disk import Disk

T = TypeVar("T")

SHORT = -1
"""A short write, which is no error."""

ERRORS: dict[str, tuple[int, ...]] = {
    "create": (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE),
    "write": (errno.ENOSPC, errno.EIO, SHORT, SHORT),
    "fsync": (errno.EIO, errno.ENOSPC),
    "fsync folder": (errno.EIO,),
    "unlink": (errno.EIO, errno.EACCES),
    "mkdir": (errno.ENOSPC, errno.EIO),
    "link": (errno.EPERM, errno.EIO),
    "rename": (errno.EIO, errno.ENOSPC),
    "begin": (sqlite3.SQLITE_BUSY,),
    "commit": (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    "sync commit": (sqlite3.SQLITE_IOERR,),
    "create table": (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL),
    "write table": (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
}
"""By kind of operation."""
_OF_SQLITE = ("begin", "commit", "sync commit", "create table", "write table")


class Crash(BaseException):
    """The process ends here."""


class Plan(NamedTuple):
    """The fault planned for one call of the index."""

    fault: str = "none"
    """"none", "kill", "power cut", "interrupt" or "error"."""
    kind: str | None = None
    """The kind of operation that fails; None for any."""
    number: int = 0
    """Which of them."""
    lasting: bool = False
    """Whether an error goes on until the call returns."""


class Machine:
    """Runs calls of an index on a disk."""

    def __init__(self, disk: Disk, chance: random.Random) -> None:
        self.disk, self.chance = disk, chance
        self.operations: Counter[str] = Counter()
        self.injected: Counter[tuple[str, str]] = Counter()
        """Faults that took place, by fault and kind of operation."""
        self.is_dead = False
        self.has_failed = False
        """Whether the plan of the last call took place."""
        self._plan: Plan | None = None
        self._seen = 0

    @contextmanager
    def running(self, plan: Plan) -> Iterator[None]:
        """Intercept the file calls of a block."""
        self._plan, self._seen, self.is_dead, self.has_failed = plan, 0, False, False
        try:
            yield
        finally:
            self._plan = None

    def operation(
        self, kind: str, path: Path | None, act: Callable[[], T], partly: Callable[[], object] | None = None
    ) -> T:
        """Do one operation, or its planned fault.

        Args:
            kind: of ``ERRORS``.
            path: named by an error; None for calls on descriptors.
            act: does it.
            partly: does a part of it, before an error.
        """
        if self.is_dead:
            raise Crash
        self.operations[kind] += 1
        if not self._is_due(kind):
            return act()
        assert self._plan is not None
        fault = self._plan.fault
        number = self.chance.choice(ERRORS[kind]) if fault == "error" else 0
        self.has_failed = True
        self.injected["short write" if number == SHORT else fault, kind] += 1
        self._begin(kind, number, act, partly)
        if fault in ("kill", "power cut"):
            self.is_dead = True
            raise Crash
        if fault == "interrupt":
            raise KeyboardInterrupt
        if number == SHORT and partly is not None:
            return partly()  # type: ignore[return-value]
        raise error_of(kind, number, path)

    def _begin(self, kind: str, number: int, act: Callable[[], object], partly: Callable[[], object] | None) -> None:
        """Do the whole operation, a part of it or nothing before its fault."""
        is_late = self.chance.random() < 0.5
        if number == SHORT:
            return
        if is_late and not number:
            done = act()
            if isinstance(done, (io.IOBase, sqlite3.Connection)):
                done.close()
        elif is_late and partly is not None:
            partly()

    def _is_due(self, kind: str) -> bool:
        plan = self._plan
        if plan is None or plan.fault == "none" or plan.kind not in (None, kind):
            return False
        self._seen += 1
        lasts = plan.lasting and self._seen > plan.number and plan.fault == "error"
        return self._seen == plan.number + 1 or lasts

    def inside(self, path: Any) -> Path | None:
        """A path below the disk's folder while a call runs."""
        if self._plan is None or not isinstance(path, (str, os.PathLike)):
            return None
        text = os.fspath(path)
        return Path(text) if isinstance(text, str) and text.startswith(f"{self.disk.base}{os.sep}") else None


def error_of(kind: str, number: int, path: Path | None) -> Exception:
    """The error as the system, or SQLite, raises it."""
    if kind in _OF_SQLITE:
        error = sqlite3.OperationalError("the simulated disk refuses")
        error.sqlite_errorcode = number
        return error
    return OSError(number, os.strerror(number), *([str(path)] if path is not None else []))


class _Raw(io.FileIO):
    """A file that is being written."""

    def __init__(self, machine: Machine, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        known = machine.disk.at(path)
        if isinstance(known, File):
            known.truncate()
        else:
            known = File()
            machine.disk.put(path, known)
        self._machine, self._file = machine, known

    def write(self, data: Buffer, /) -> int:
        content = bytes(data)
        half = content[: max(1, len(content) // 2)]
        return self._machine.operation("write", None, lambda: self._put(content), lambda: self._put(half))

    def _put(self, content: bytes) -> int:
        self._file.write(self.tell(), content)
        return super().write(content)


class _Connection(sqlite3.Connection):
    """A connection of which the transactions are operations."""

    machine: Machine
    path: Path
    is_durable = False
    writes = False

    def execute(self, sql: str, /, *params: Any) -> sqlite3.Cursor:
        def run() -> sqlite3.Cursor:
            return sqlite3.Connection.execute(self, sql, *params)

        if sql == "PRAGMA synchronous = EXTRA":
            self.is_durable = True
            return sqlite3.Connection.execute(self, "PRAGMA synchronous = OFF")
        if sql == "BEGIN IMMEDIATE":
            self.writes = True
            return self.machine.operation("begin", None, run)
        if sql == "COMMIT" and self.path.name != "index.sqlite":
            return self.machine.operation("write table", None, lambda: self._written(run()))
        if sql == "BEGIN":
            return self.machine.operation("begin", None, run)
        if sql == "COMMIT" and self.writes:
            self.machine.operation("commit", None, lambda: self._committed(run))
            return self.machine.operation("sync commit", None, self._synced)
        return run()

    def _written(self, cursor: sqlite3.Cursor) -> sqlite3.Cursor:
        file = self.machine.disk.at(self.path)
        assert isinstance(file, File)
        file.write(0, self.path.read_bytes())
        return cursor

    def _committed(self, run: Callable[[], object]) -> None:
        """Change the file: for a power cut that is the step in which the journal goes, whose name was synced before."""
        disk = self.machine.disk
        disk.folder(self.path.parent).sync()
        run()
        disk.put(self.path, File(self.path.read_bytes()))

    def _synced(self) -> sqlite3.Cursor:
        """With EXTRA, the folder is synced after the journal has gone."""
        if self.is_durable:
            self.machine.disk.folder(self.path.parent).sync()
        return self.cursor()


@contextmanager
def intercepted(machine: Machine) -> Iterator[None]:
    """Replace the file calls of Python by those of a machine; names of new files are drawn from its chance."""
    calls = _Calls(machine)

    def name() -> uuid.UUID:
        return uuid.UUID(int=machine.chance.getrandbits(128), version=4)

    with (
        mock.patch.multiple(os, **calls.of_os()),
        mock.patch.object(io, "open", calls.open),
        mock.patch.object(sqlite3, "connect", calls.connect),
        mock.patch.object(uuid, "uuid4", name),
        mock.patch.object(secrets, "token_hex", lambda count: name().hex[: 2 * count]),
    ):
        yield


class _Calls:
    """Replacements of functions of Python."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._open, self._connect = io.open, sqlite3.connect
        self._os = {name: getattr(os, name) for name in ("fsync", "unlink", "mkdir", "link", "replace", "rename")}

    def of_os(self) -> dict[str, Any]:
        """Those of ``os`` by name."""
        return {
            "fsync": self.fsync,
            "unlink": self.unlink,
            "mkdir": self.mkdir,
            "link": self.link,
            "replace": self.rename,
            "rename": self.rename,
        }

    def open(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        machine, path = self._machine, self._machine.inside(file)
        if path is None or mode not in ("wb", "xb"):
            return self._open(file, mode, *args, **options)
        raw = machine.operation("create", path, lambda: _Raw(machine, path, mode[0]))
        return io.BufferedWriter(raw, buffer_size=256)

    def fsync(self, descriptor: int) -> None:
        machine = self._machine
        node = machine.disk.of_descriptor(descriptor) if machine.inside(machine.disk.base / "x") else None
        if isinstance(node, Folder):
            machine.operation("fsync folder", None, node.sync)
        elif node is not None:
            machine.operation("fsync", None, node.sync, node.fail)

    def unlink(self, path: Any, **options: Any) -> None:
        inside = self._machine.inside(path)
        if inside is None or self._machine.disk.at(inside) is None:
            self._os["unlink"](path, **options)
        else:
            self._machine.operation("unlink", inside, lambda: self._unlinked(inside))

    def _unlinked(self, path: Path) -> None:
        self._os["unlink"](path)
        self._machine.disk.remove(path)

    def mkdir(self, path: Any, *args: Any, **options: Any) -> None:
        inside = self._machine.inside(path)
        if inside is None or self._machine.disk.at(inside) is not None:
            self._os["mkdir"](path, *args, **options)
        else:
            self._machine.operation("mkdir", inside, lambda: self._made(inside))

    def _made(self, path: Path) -> None:
        self._os["mkdir"](path)
        self._machine.disk.put(path, Folder())

    def link(self, old: Any, new: Any, **options: Any) -> None:
        inside = self._machine.inside(new)
        if inside is None or self._machine.disk.at(inside) is not None:
            self._os["link"](old, new, **options)
        else:
            self._machine.operation("link", inside, lambda: self._linked(Path(old), inside))

    def _linked(self, old: Path, new: Path) -> None:
        self._os["link"](old, new)
        node = self._machine.disk.at(old)
        assert node is not None
        self._machine.disk.put(new, node)

    def rename(self, old: Any, new: Any, **options: Any) -> None:
        inside = self._machine.inside(new)
        if inside is None:
            self._os["rename"](old, new, **options)
        else:
            self._machine.operation("rename", inside, lambda: self._renamed(Path(old), inside))

    def _renamed(self, old: Path, new: Path) -> None:
        self._os["replace"](old, new)
        self._machine.disk.rename(old, new)

    def connect(self, database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        name = os.fspath(database)
        if name.startswith("file:") and "mode=rw" in name:
            name = unquote(urlsplit(name).path)
        path = self._machine.inside(name)
        if path is None:
            return self._connect(database, *args, **options)

        def connected() -> _Connection:
            connection = self._connect(database, *args, factory=_Connection, **options)
            connection.machine, connection.path = self._machine, path
            return connection

        if path.name == "index.sqlite":
            return connected()
        return self._machine.operation("create table", None, lambda: self._with_file(connected()))

    def _with_file(self, connection: _Connection) -> _Connection:
        """SQLite makes the file when it connects."""
        self._machine.disk.put(connection.path, File())
        return connection
