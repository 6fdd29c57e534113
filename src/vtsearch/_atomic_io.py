"""Files and folders that appear as a whole: a kill or a full disk at any moment leaves the old one or the new one.

- A file: ``write_file``; ``create_file`` where there must be none yet; ``placed_file`` for one that a library writes.
- A folder that is written in one go: ``with replaced_folder(folder) as fresh: ...``.
- A folder with a life of its own: hold ``writer_lock(folder)``, build it under ``temporary(folder)``, then
  ``place_folder`` (nothing stands there) or ``swap_folder`` (another folder stands there).
- Before such a folder is read: ``recover_folder(folder)``.

Names beside a path NAME: ``.NAME.PID-TOKEN.tmp`` is being written, ``.NAME.lock`` names the writer, ``.NAME.old`` is
what was replaced, where the system cannot exchange two folders in one step.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from vtsearch._file_lock import FileLock, is_file_at, lock_descriptor
from vtsearch._rename import exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_NAME = 180
"""Bytes of a path's name in the names beside it; file systems allow 255 in all."""
RECOVERY_SECONDS = 10.0
"""How long a reader waits for a living writer between its two renames."""


def write_file(path: Path, content: bytes) -> None:
    """Replace a file by another in one step: readers see the old content or the new.

    The file has the permissions of any new file (the umask). Leftovers of killed writers of this file are deleted.

    Raises:
        OSError: a disk that is full or refuses, or a device, pipe or socket of that name; names the file, whose old
            content is intact.
    """
    path = resolved(path)
    try:
        _check_replaceable(path)
        _remove_dead_files(path)
        _write_beside(path, content)
        sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def create_file(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet, in one step: readers see none or all of it.

    Leftovers of killed writers of this file are deleted.

    Raises:
        FileExistsError: it exists, perhaps since a moment ago; it is as it was.
        OSError: a disk that is full or refuses; names the file, which does not exist.
    """
    try:
        _remove_dead_files(path)
        _write_beside(path, content, _give_free_name)
        sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def placed_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A file beside `path` to fill by its name; it takes the name `path` when the block ends without an error.

    Args:
        path: the file; a symbolic link is kept, and the file that it leads to is replaced.
        overwrite: whether a file of that name is replaced.

    Raises:
        FileExistsError: it exists, and ``overwrite`` is false; it is as it was.
        OSError: a disk that is full or refuses, or a device, pipe or socket of that name; the old file is intact.
    """
    path = resolved(path) if overwrite else path
    fresh = None
    try:
        _check_replaceable(path)
        _remove_dead_files(path)
        with _written_file(path, Path.replace if overwrite else _give_free_name) as (fresh, _):
            yield fresh
            with fresh.open("rb+") as written:
                os.fsync(written.fileno())
        sync_folder(path.parent)
    except OSError as error:
        if error.errno is None or (fresh is not None and error.filename not in (None, str(fresh))):
            raise  # of the library, in its own words, or about another file
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill; it takes the place of `folder`, if there is one, when the block ends without an error.

    A symbolic link is kept, and the folder that it leads to is replaced.

    Raises:
        BlockingIOError: another process writes the same folder.
        OSError: a disk that is full or refuses; the old folder is intact.
    """
    folder = resolved(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder) as lock:
        put_back(folder)
        if lock.is_exclusive:
            remove_leftovers(folder)
        fresh = temporary(folder)
        fresh.mkdir()
        try:
            yield fresh
            swap_folder(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def swap_folder(fresh: Path, folder: Path) -> None:
    """Flush a finished folder to the disk, put it in the place of `folder`, and delete what stood there.

    Call it while you hold ``writer_lock(folder)``. Where the system can, both change places in one step. Elsewhere the
    old folder is renamed to ``.NAME.old`` for an instant: ``recover_folder`` renames it back after a kill.

    Raises:
        NotADirectoryError: something else stands there; it is as it was.
        OSError: a disk that refuses; the old folder is in its place.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "expected a folder", str(folder))
    _flush(fresh)
    if not os.path.lexists(folder):
        fresh.rename(folder)
    elif not exchange(fresh, folder):
        _rename_twice(fresh, folder)
    sync_folder(folder.parent)
    for old in (fresh, aside(folder)):
        shutil.rmtree(old, ignore_errors=True)


def place_folder(fresh: Path, folder: Path) -> None:
    """Flush a finished folder to the disk and give it the name `folder`, which is free or that of an empty folder.

    Raises:
        FileExistsError: something stands there; it is as it was.
        OSError: a disk that refuses.
    """
    _flush(fresh)
    try:
        if os.name != "posix" and folder.is_dir():
            folder.rmdir()
        fresh.rename(folder)
    except OSError as error:
        if folder.is_dir() and not any(folder.iterdir()):
            raise  # such as a mount point
        if os.path.lexists(folder):
            raise FileExistsError(f"{folder}: expected a free name, something was put there meanwhile") from error
        raise
    sync_folder(folder.parent)


def recover_folder(folder: Path) -> None:
    """Put back a folder that a killed writer had set aside; wait for a living one. Call it before reading `folder`.

    It costs one look at the folder's name where nothing has happened, and raises nothing.
    """
    folder = resolved(folder)
    if folder.exists() or not aside(folder).exists():
        return
    with contextlib.suppress(OSError), writer_lock(folder, wait=RECOVERY_SECONDS):
        put_back(folder)


def put_back(folder: Path) -> None:
    """Put back a folder that a killed writer had set aside, or delete it if its successor stands.

    Call it while you hold ``writer_lock(folder)``; readers call ``recover_folder``.
    """
    if not os.path.lexists(folder):
        with contextlib.suppress(FileNotFoundError):
            aside(folder).rename(folder)
    elif aside(folder).exists():
        shutil.rmtree(aside(folder), ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the unfinished folders and files of killed writers of `folder`.

    Call it while you hold ``writer_lock(folder)`` and the lock `is_exclusive`: no living process writes them then.
    """
    for path in temporaries(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
    _remove_dead_files(folder)


def writer_lock(folder: Path, wait: float = 0.0, *, shared: bool = False) -> FileLock:
    """Take the lock of the writers of a path; ``with`` gives it back.

    Args:
        folder: the path; its parent exists.
        wait: seconds to wait for another writer.
        shared: whether others may hold it at the same time, if they share it too: writers that prepare parts of it.

    Raises:
        BlockingIOError: another process writes it; the message names the process.
    """
    return FileLock(_beside(folder, "lock"), folder, shared=shared).acquire(wait)


def resolved(path: Path) -> Path:
    """The absolute path with every symbolic link followed, so that a link is kept and its target replaced."""
    return Path(os.path.realpath(path))


def temporary(path: Path) -> Path:
    """A new hidden name beside `path` that no other writer uses, in this container or another."""
    return _beside(path, f"{os.getpid()}-{secrets.token_hex(6)}.tmp")


def temporaries(path: Path) -> list[Path]:
    """Everything beside `path` with a name that ``temporary(path)`` gives, of writers that live or were killed."""
    start = f".{_short_name(path)}."
    try:
        entries = list(path.parent.iterdir())
    except OSError:  # a folder that may be written to and not be listed
        return []
    return [each for each in entries if each.name.startswith(start) and _is_temporary(each.name, start)]


def aside(path: Path) -> Path:
    """The hidden name beside `path` of what is being replaced."""
    return _beside(path, "old")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut.

    Raises:
        OSError: a disk that refuses; names the folder.
    """
    if os.name != "posix":  # Windows opens no folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        os.close(descriptor)


def _check_replaceable(path: Path) -> None:
    """A rename would put a file in the place of a device, a pipe or a socket, for every process of the machine."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "expected a regular file", str(path))


def _write_beside(path: Path, content: bytes, give_name: Callable[[Path, Path], object] = Path.replace) -> None:
    """Write a temporary file and name it `path`."""
    with _written_file(path, give_name) as (_, file):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _written_file(path: Path, give_name: Callable[[Path, Path], object]) -> Iterator[tuple[Path, BinaryIO]]:
    """A temporary file to fill and sync, which is then named `path`; meanwhile a lock shows that its writer lives."""
    fresh, file = _new_file(path)
    try:
        with file:
            yield fresh, file
            if os.name == "posix":
                give_name(fresh, path)
        if os.name != "posix":  # Windows renames no open file
            give_name(fresh, path)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def _give_free_name(fresh: Path, path: Path) -> None:
    """Name a file `path`, unless another one has that name."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError as error:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        fresh.replace(path)


def _new_file(path: Path) -> tuple[Path, BinaryIO]:
    """A new temporary file beside `path`, open and locked."""
    while True:
        fresh = temporary(path)
        file = fresh.open("xb")
        if lock_descriptor(file.fileno()) is not False and is_file_at(file.fileno(), fresh):
            return fresh, file
        file.close()  # deleted by another writer before it was locked
        fresh.unlink(missing_ok=True)


def _rename_twice(fresh: Path, folder: Path) -> None:
    """Set the old folder aside and rename the new one; the first is undone if the second fails."""
    shutil.rmtree(aside(folder), ignore_errors=True)
    folder.rename(aside(folder))
    try:
        fresh.rename(folder)
    except BaseException:
        aside(folder).rename(folder)
        raise


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{_short_name(path)}.{ending}")


def _short_name(path: Path) -> str:
    """The name of a path; of a very long one the beginning and a hash."""
    name = os.fsencode(path.name)
    if len(name) <= LONGEST_NAME:
        return path.name
    return os.fsdecode(name[:LONGEST_NAME]) + "~" + hashlib.sha256(name).hexdigest()[:8]


def _is_temporary(name: str, start: str) -> bool:
    pid, _, token = name.removeprefix(start).removesuffix(".tmp").partition("-")
    return name.endswith(".tmp") and pid.isdecimal() and len(token) == 12 and token.isalnum()


def _remove_dead_files(path: Path) -> None:
    """Delete the unfinished files of killed writers of `path`; a living writer has locked its file."""
    if os.name != "posix":
        return
    for left in temporaries(path):
        if left.is_file() and not left.is_symlink():
            with contextlib.suppress(OSError), left.open("rb") as file:
                if lock_descriptor(file.fileno()):
                    left.unlink()


def _flush(folder: Path) -> None:
    """Make files, then names, reach the disk: a rename may otherwise survive a power cut that its content does not."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
