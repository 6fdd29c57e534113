"""Whether a file has changed since it was looked at, without opening it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from pathlib import Path

TICK = 50_000_000
"""Nanoseconds: more than a tick of the clock by which a file system of this machine tells times."""


class Look(NamedTuple):
    """A file as it was found."""

    file: tuple[int, int, int] | None
    """Its number, its time in nanoseconds and its size; None for a file that is not there."""
    is_sure: bool = False
    """Whether a later change would show: one in the same tick of the file system's clock might not."""

    @classmethod
    def at(cls, path: Path) -> Self:
        """The file as it is now."""
        try:
            found = path.stat()
        except OSError:
            return cls(None, is_sure=True)
        age = time.time_ns() - found.st_mtime_ns
        return cls((found.st_ino, found.st_mtime_ns, found.st_size), is_sure=not 0 <= age < TICK)
