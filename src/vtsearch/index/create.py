"""A new index appears in one step: with ``index.sqlite`` a folder is an index, without it is none."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from vtsearch._atomic_io import sync_folder
from vtsearch.index.about import new_name
from vtsearch.index.store import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def is_vacant(folder: Path) -> bool:
    """Whether an index can be created in a folder: it does not exist, is empty, or holds leftovers of a kill."""
    if not folder.exists():
        return not folder.is_symlink()
    return folder.is_dir() and all(map(_is_leftover, folder.iterdir()))


def place(folder: Path, content: bytes) -> None:
    """Make a folder an index by giving it the file ``index.sqlite``, complete and on disk to stay.

    Raises:
        FileExistsError: another process was faster.
        OSError: a disk that is full or refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, aside = folder / FILE_NAME, folder / f".{FILE_NAME}.{new_name()}.new"
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _claim(aside, final)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise FileExistsError(f"path: expected a new or empty folder, got {folder}, which became an index") from error
        raise OSError(error.errno, error.strerror, str(final)) from error
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(folder)
    sync_folder(folder.absolute().parent)


def _claim(aside: Path, final: Path) -> None:
    """Give a file its name, unless another file has it."""
    try:
        os.link(aside, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if final.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(final)) from error
        aside.rename(final)


def _is_leftover(path: Path) -> bool:
    return path.name.startswith(f".{FILE_NAME}.") and path.name.endswith(".new")
