"""Files and folders that appear as a whole: a kill or a full disk at any moment leaves the old one or the new one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Replace a file by another in one step: readers see the old content or the new.

    Raises:
        OSError: a disk that is full or refuses; names the file, whose old content is intact.
    """
    temporary = beside(path, "tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def swap_folder(fresh: Path, folder: Path, aside: Path) -> None:
    """Flush a finished folder to the disk and put it in the place of `folder`.

    A folder cannot be renamed over another, so an old one stands `aside` for an instant, and is then deleted.
    """
    _flush(fresh)
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    fresh.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def beside(path: Path, ending: str) -> Path:
    """A hidden name next to `path` that no other process uses."""
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush(folder: Path) -> None:
    """Make files, then names, reach the disk: a rename may otherwise survive a power cut that its content does not."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
