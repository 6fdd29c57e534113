"""JSON files read with bounds, so that a hostile or damaged one costs neither memory nor a traceback."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from vtsearch._atomic_io import write_file
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from pathlib import Path

MOST_LINE_BYTES = 2**20

CHECKSUM = "sha256"
"""Key of the checksum in files of ``write_checked``."""


def read_json(path: Path, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        most_bytes: larger files are refused unread.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: too large, not JSON, nested too deeply, or another value than an object.
    """
    size = path.stat().st_size
    if size > most_bytes:
        raise VtsearchError(f"{path}: expected at most {most_bytes:,} bytes, got {size:,}")
    try:
        content = json.loads(path.read_bytes())
    except RecursionError as reason:
        raise VtsearchError(f"{path}: expected JSON, got one that is nested too deeply") from reason
    except ValueError as reason:  # UnicodeDecodeError and numbers of too many digits included
        raise VtsearchError(f"{path}: not JSON ({reason})") from reason
    if not isinstance(content, dict):
        raise VtsearchError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects in the lines of a file.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: a line that is no JSON object; names the line.
    """
    objects = []
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MOST_LINE_BYTES), b""), start=1):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as reason:
                raise VtsearchError(f"{path}, line {number}: not JSON") from reason
            if not isinstance(value, dict):
                raise VtsearchError(f"{path}, line {number}: expected a JSON object, got {type(value).__name__}")
            objects.append(value)
    return objects


def write_checked(path: Path, content: dict[str, Any]) -> None:
    """Write an object as JSON, atomically, with a checksum of its content."""
    write_file(path, (json.dumps(content | {CHECKSUM: _checksum(content)}, indent=1) + "\n").encode())


def read_checked(path: Path, most_bytes: int) -> dict[str, Any]:
    """The object that ``write_checked`` wrote.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: changed since it was written, or not such a file.
    """
    content = read_json(path, most_bytes)
    found = content.pop(CHECKSUM, None)
    if found != _checksum(content):
        raise VtsearchError(f"{path}: changed since it was written: its checksum is of other content")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
