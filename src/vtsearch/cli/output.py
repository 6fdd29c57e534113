"""What commands print, and the checks of what they are to write, made before the work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_form(labels: NDArray[Any] | None) -> str:
    """What labels an index has, in words."""
    return "none" if labels is None else "one per item" if labels.ndim == 1 else "0/1 per class"


def json_text(value: Any, indent: int | None = 1) -> str:
    """A value as JSON in plain ASCII: ids and paths with control characters are exact, and safe to print."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def check_output_file(name: str, path: str | None) -> None:
    """Refuse a file that cannot be written, before the work that fills it.

    Raises:
        ValueError: an empty name, or that of a folder.
        FileNotFoundError: no folder to write it into.
        OSError: a folder or a file that may not be written, a name that is too long.
    """
    if path is None:
        return
    file = _named(name, path)
    if _exists(name, file) and not file.is_file():
        raise ValueError(f"{name}: expected the name of a file to write, got {path!r}, which is none")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{name}: expected a file in a folder that exists, got {path!r}")
    _check_writable(name, file if file.exists() else file.parent)


def check_output_folder(name: str, path: str | None) -> None:
    """Refuse a folder that cannot be made or written, before the work that fills it.

    Raises:
        ValueError: an empty name, or that of a file.
        OSError: a folder that may not be written, a name that is too long.
    """
    if path is None:
        return
    folder = _named(name, path)
    while not _exists(name, folder) and folder.parent != folder:
        folder = folder.parent
    if not folder.is_dir():
        raise ValueError(f"{name}: expected a folder to write, got {path!r}: {folder} is a file")
    _check_writable(name, folder)


def _named(name: str, path: str) -> Path:
    if not path:
        raise ValueError(f"{name}: expected a path, got ''")
    return Path(path)


def _exists(name: str, path: Path) -> bool:
    """Whether something has that name; a broken link has."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise OSError(f"{name}: {error.strerror}: {path}") from error
    return True


def _check_writable(name: str, path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{name}: expected a place that may be written, got {path}: permission denied")
