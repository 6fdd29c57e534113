"""Locks of the operating system on files: one writer at a time, released by the kernel however a process ends."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import sys
import time
from typing import TYPE_CHECKING, Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

POLL_SECONDS = 0.01
WINDOWS_OFFSET = 1 << 30
"""Windows forbids others to read a locked byte, so that the locked byte lies behind the content."""

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_HOLDER = re.compile(r"pid \d{1,10} on [\w.-]{1,255}")
_descriptors: set[int] = set()


class FileLock:
    """A lock held through a file that names its holder: by one alone, or by several that share it.

    The file is made by the holder and deleted at the release; the file of a killed holder stays and blocks nobody. A
    forked child does not inherit the lock. File systems without locks (some network file systems) grant it to
    everybody: see `is_exclusive`.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with FileLock(folder / ".index.lock", target=folder / "index"):
        ...     sorted(path.name for path in folder.iterdir())
        ['.index.lock']
    """

    def __init__(self, path: Path, target: object, *, shared: bool = False) -> None:
        """Prepare a lock.

        Args:
            path: the lock file; its folder exists.
            target: what the lock protects, for the message to a second writer.
            shared: whether others may hold it too, if they share it. Windows grants such a lock to everybody.
        """
        self.path, self.target, self._shared = path, target, shared
        self.is_exclusive = False
        """Whether the lock is held, and the file system keeps others from holding it."""
        self._descriptor: int | None = None
        self._owner = 0

    def acquire(self, wait: float = 0.0) -> Self:
        """Take the lock.

        Args:
            wait: seconds to wait for another holder.

        Raises:
            BlockingIOError: another process holds it; the message names the process.
            OSError: the lock file cannot be made.
        """
        deadline = time.monotonic() + wait
        while not self._try():
            if time.monotonic() >= deadline:
                raise BlockingIOError(f"{self.target}: expected one writer at a time, {self.holder()} is writing it")
            time.sleep(POLL_SECONDS)
        return self

    def release(self) -> None:
        """Give the lock back and delete its file; without effect if this process does not hold it."""
        if self._descriptor is None or self._owner != os.getpid():
            return
        descriptor, self._descriptor, self.is_exclusive = self._descriptor, None, False
        if sys.platform != "win32" and not (self._shared and lock_descriptor(descriptor) is False):
            self.path.unlink(missing_ok=True)  # while it is held: a later holder has a file of its own
        _descriptors.discard(descriptor)
        os.close(descriptor)
        if sys.platform == "win32":
            with contextlib.suppress(OSError):  # another process may have opened it by now
                self.path.unlink(missing_ok=True)

    def holder(self) -> str:
        """``another process (pid 123 on HOST)``, as far as the lock file names it."""
        try:
            with self.path.open(encoding="ascii", errors="replace") as file:
                found = _HOLDER.match(file.read(300))
        except OSError:
            found = None
        if found and found[0] == _this_process():
            return f"this process ({found[0]})"
        return f"another process ({found[0]})" if found else "another process"

    def _try(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, flags, 0o666)
        granted = lock_descriptor(descriptor, shared=self._shared)
        if granted is False or not is_file_at(descriptor, self.path):  # deleted by its holder meanwhile
            os.close(descriptor)
            return False
        _descriptors.add(descriptor)
        self._descriptor, self._owner = descriptor, os.getpid()
        self.is_exclusive = granted is True and not self._shared
        with contextlib.suppress(OSError):  # a full disk: the lock holds, without a name
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{_this_process()}\n".encode())
        return True

    def __enter__(self) -> Self:
        return self if self._descriptor is not None else self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_descriptor(descriptor: int, *, shared: bool = False) -> bool | None:
    """Try to lock an open file until it is closed: False if another holds it, None if its file system has no locks."""
    try:
        if sys.platform == "win32":
            if shared:
                return None
            os.lseek(descriptor, WINDOWS_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    return True


def is_file_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has that path: it may have been deleted or replaced since it was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _this_process() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"


def _close_in_child() -> None:
    """A forked child, such as a process that loads images, would otherwise hold the locks beyond its parent's death."""
    for descriptor in _descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
