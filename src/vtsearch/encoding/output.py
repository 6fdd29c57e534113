"""Checks of the folder that an index will be written to, before the first image is encoded."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch._atomic_io import put_back, remove_leftovers, resolved, writer_lock
from vtsearch.encoding.work_folder import WorkFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtsearch._file_lock import FileLock


def check_output(output: Path, *, overwrite: bool) -> None:
    """Check that an index may be written to ``output``; creates nothing.

    Unfinished files of killed runs are deleted; codes that the same command continues with are kept.

    Args:
        output: the folder of the new index, or a link to it.
        overwrite: whether an index there may be replaced.

    Raises:
        BlockingIOError: another process is writing there; the message names the process.
        FileExistsError: a folder with content, unless it is an index and ``overwrite`` is true.
        ValueError: a link to nothing, the current folder or one above it, a mount point, or a name that is too long
            or not UTF-8.
        OSError: a folder that cannot be created or written to.
    """
    target = output_folder(output)
    parent = target.parent
    while not parent.exists():
        parent = parent.parent
    if parent != target.parent:
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise OSError(f"output: cannot create {target}: expected a folder to write to, got {parent}")
        return
    with claimed(target, overwrite=overwrite):
        refuse_existing(target, overwrite=overwrite)


def output_folder(output: Path) -> Path:
    """The absolute path of the new index, with links followed.

    Raises:
        ValueError: as of ``check_output``.
    """
    name = str(output)
    if name.encode(errors="replace").decode() != name:
        raise ValueError(f"output: expected a name in UTF-8, got {name.encode(errors='backslashreplace').decode()}")
    if os.path.islink(output) and not _exists(output):  # noqa: PTH114 (Path.is_symlink raises for a name too long)
        raise ValueError(f"output: expected a folder, got {output}, a link to {output.readlink()}, which is missing")
    target = resolved(output)
    here = Path.cwd()
    if target == here or target in here.parents:
        raise ValueError(f"output: expected the name of a new folder, got {output}, which the command runs in")
    _check_length(target)
    if os.path.ismount(target):
        raise ValueError(f"output: expected a new folder, got {output}, a mount point; name a folder inside it")
    return target


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Refuse to write to a folder with content, unless it is an index that may be replaced.

    Raises:
        FileExistsError: as of ``check_output``.
    """
    if not is_occupied(target):
        return
    if not overwrite:
        raise FileExistsError(f"output: {target} exists; choose another folder, or --overwrite it")
    if not is_index(target):
        raise FileExistsError(f"output: expected an index to overwrite, got {target}, which is none")


def is_index(target: Path) -> bool:
    """Whether an index is there; False for names that cannot be."""
    return os.path.isfile(target / "index.sqlite")  # noqa: PTH113 (Path.is_file raises for a name too long)


def is_occupied(target: Path) -> bool:
    """Whether something other than an empty folder has this name."""
    return os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir()))


@contextlib.contextmanager
def claimed(target: Path, *, overwrite: bool) -> Iterator[WorkFolder]:
    """Be the only writer of ``target``; yields the codes that a killed writer has left, and deletes all else of it.

    Codes that are in the index already are deleted too, unless ``overwrite`` is to write them once more.

    Raises:
        BlockingIOError: another process is writing there; the message names the process.
        OSError: a folder that cannot be created or written to.
    """
    with locked(target) as lock:
        work = WorkFolder(target)
        put_back(target)
        if lock.is_exclusive:
            remove_leftovers(target)
        if not overwrite:
            work.remove_if_done()
        yield work


def locked(target: Path, *, shared: bool = False) -> FileLock:
    """The lock of the writers of ``target``, whose folder is made; ``with`` gives it back.

    Raises:
        BlockingIOError: another process is writing there; the message names the process.
        OSError: a folder that cannot be created or written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return writer_lock(target, shared=shared)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(f"output: cannot create {target}: {error.strerror}") from error


def _check_length(target: Path) -> None:
    """Refuse a name that the file system cannot hold; it is asked of the nearest folder that exists."""
    parent = target.parent
    while not _exists(parent):
        parent = parent.parent
    limit = os.pathconf(parent, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    for part in target.parts:
        if len(os.fsencode(part)) > limit:
            raise ValueError(f"output: expected a name of at most {limit} bytes, got {len(os.fsencode(part))}")


def _exists(path: Path) -> bool:
    """Whether there is something; False for names that cannot be."""
    try:
        return path.exists()
    except OSError:
        return False
