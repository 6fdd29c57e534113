"""What an index keeps of an image file: what shows that it has changed, and what people ask for."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from vtsearch.data.sources.decode import TURNED, open_image, orientation
from vtsearch.data.sources.image_source import FileSource
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vtsearch.data.sources.image_source import ImageSource

_EXIF, _TAKEN, _STORED = 0x8769, 0x9003, 0x0132
_MOMENT = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")


class Stamp(NamedTuple):
    """Size and time of an image file before it was read; it shows later whether the file has changed."""

    size: int
    modified_ns: int

    @property
    def modified(self) -> str:
        """The time in UTC, as an ISO text with nanoseconds."""
        seconds, rest = divmod(self.modified_ns, 10**9)
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)  # noqa: DTZ001 (UTC, before 1970 too)
        return f"{moment.isoformat(sep=' ')}.{rest:09}"


class FileFacts(NamedTuple):
    """An image file as it was before it was decoded."""

    stamp: Stamp
    content: str
    """SHA-256 of its bytes, hexadecimal."""
    width: int | None
    """Pixels, upright; None where the header cannot be read."""
    height: int | None
    taken: str | None
    """When the camera says, ``2024-05-06 07:08:09``, in the time of the place."""


def stamp(source: ImageSource, position: int) -> Stamp | None:
    """Size and time of the file of an image; None if it has no file of its own, or the file is gone."""
    if not isinstance(source, FileSource):
        return None
    try:
        found = os.stat(source.path(position))  # noqa: PTH116 (lists are long: half the time of Path.stat)
    except (OSError, ValueError):
        return None
    return Stamp(found.st_size, found.st_mtime_ns)


def file_facts(source: ImageSource, position: int) -> FileFacts | None:
    """What there is to know of the file of an image; None if it has no file of its own, or cannot be read."""
    found = stamp(source, position)
    if found is None or not isinstance(source, FileSource):
        return None
    path = source.path(position)
    content = content_of(path)
    return None if content is None else FileFacts(found, content, *_header(path))


def content_of(path: Path) -> str | None:
    """SHA-256 of the bytes of a file, hexadecimal; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def columns_of(facts: Sequence[FileFacts | None]) -> dict[str, list[Any]]:
    """Facts as columns of metadata, None where there are none; no columns if no image has a file."""
    if not any(facts):
        return {}
    rows = [
        (None,) * len(COLUMNS) if fact is None else (fact.stamp.size, fact.stamp.modified, *fact[1:]) for fact in facts
    ]
    return dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))


COLUMNS = ("bytes", "modified", "content", "width", "height", "taken")
"""Names of the columns that an index of image files has."""


def _header(path: Path) -> tuple[int | None, int | None, str | None]:
    """Width, height and time taken, as far as the header of an image file can be read."""
    try:
        with open_image(path, path.name) as image:
            width, height = image.size[::-1] if orientation(image) in TURNED else image.size
            return width, height, _taken(image)
    except (VtsearchError, OSError):
        return None, None, None


def _taken(image: Any) -> str | None:
    try:
        exif = image.getexif()
        text = exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_STORED)
        year, month, day, time = _MOMENT.match(str(text)).groups()  # type: ignore[union-attr]
        return dt.datetime.fromisoformat(f"{year}-{month}-{day} {time}").isoformat(sep=" ")
    except Exception:  # noqa: BLE001 (damaged metadata raise anything)
        return None
