"""A new index appears in one step: with ``index.sqlite`` a folder is an index, without it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch._atomic_io import create_file, sync_folder, temporaries
from vtsearch.index.store import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path


def is_vacant(folder: Path) -> bool:
    """Whether an index can be created in a folder: it does not exist, is empty, or holds leftovers of a kill."""
    if not folder.exists():
        return not folder.is_symlink()
    return folder.is_dir() and set(folder.iterdir()) <= set(temporaries(folder / FILE_NAME))


def place(folder: Path, content: bytes) -> None:
    """Make a folder an index by giving it the file ``index.sqlite``, complete and on disk to stay.

    Raises:
        FileExistsError: another process was faster.
        OSError: a disk that is full or refuses.
    """
    _make(folder.absolute())
    try:
        create_file(folder / FILE_NAME, content)
    except FileExistsError as error:
        raise FileExistsError(f"path: expected a new or empty folder, got {folder}, which became an index") from error


def _make(folder: Path) -> None:
    """Make a folder and its parents, on disk to stay before it is an index: from then on others may add to it."""
    if not folder.parent.is_dir():
        _make(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
