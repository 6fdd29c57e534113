"""What an index keeps of a stored image: what shows that it has changed, and what people ask for."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from vtsearch.data.sources.decode import TURNED, open_encoded, open_image, orientation
from vtsearch.data.sources.image_source import EncodedSource, FileSource
from vtsearch.data.sources.stamp import Stamp
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from PIL.Image import Image

    from vtsearch.data.sources.image_source import ImageItems

_EXIF, _TAKEN, _STORED = 0x8769, 0x9003, 0x0132
_MOMENT = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")


class FileFacts(NamedTuple):
    """A stored image as it was before it was decoded."""

    stamp: Stamp | None
    """None where nothing shows later whether it has changed, as of a URL."""
    bytes: int
    content: str
    """SHA-256 of its bytes, hexadecimal."""
    width: int | None
    """Pixels, upright; None where the header cannot be read."""
    height: int | None
    taken: str | None
    """When the camera says, ``2024-05-06 07:08:09``, in the time of the place."""


def stamp(source: ImageItems, position: int) -> Stamp | None:
    """Size, time and place of a stored image; None if it is none, or its file is gone."""
    return next(stamps(source, [position]))


def stamps(source: ImageItems, positions: Iterable[int]) -> Iterator[Stamp | None]:
    """The stamp of each position, as of ``stamp``: what the source is, is asked once."""
    if isinstance(source, FileSource):
        return (_file_stamp(source.path(position)) for position in positions)
    if isinstance(source, EncodedSource):
        return map(source.stamp, positions)
    return (None for _ in positions)


def _file_stamp(path: Path) -> Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (lists are long: half the time of Path.stat)
    except (OSError, ValueError):
        return None
    return Stamp(found.st_size, found.st_mtime_ns)


def file_facts(source: ImageItems, position: int) -> FileFacts | None:
    """What there is to know of a stored image; None if it is none, or cannot be read."""
    if not isinstance(source, FileSource):
        return _encoded_facts(source, position) if isinstance(source, EncodedSource) else None
    found = stamp(source, position)
    if found is None or found.size is None:
        return None
    path = source.path(position)
    content = content_of(path)
    return None if content is None else FileFacts(found, found.size, content, *_header(open_image(path, path.name)))


def _encoded_facts(source: EncodedSource, position: int) -> FileFacts | None:
    found = source.stamp(position)
    try:
        encoded = source.read(position)
    except (OSError, VtsearchError):
        return None
    header = _header(open_encoded(encoded, source.id(position)))
    return FileFacts(found, len(encoded), hashlib.sha256(encoded).hexdigest(), *header)


def content_of(path: Path) -> str | None:
    """SHA-256 of the bytes of a file, hexadecimal; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def columns_of(facts: Sequence[FileFacts | None]) -> dict[str, list[Any]]:
    """Facts as columns of metadata, None where there are none; no columns if no image is stored."""
    if not any(facts):
        return {}
    rows = [(None,) * len(COLUMNS) if fact is None else _row(fact) for fact in facts]
    return dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))


PLACE = "place"
COLUMNS = ("bytes", "modified", "content", "width", "height", "taken", PLACE)
"""Names of the columns that an index of stored images has."""


def _row(fact: FileFacts) -> tuple[Any, ...]:
    modified, place = (None, None) if fact.stamp is None else (fact.stamp.modified, fact.stamp.place)
    return (fact.bytes, modified, *fact[2:], place)


def _header(opened: AbstractContextManager[Image]) -> tuple[int | None, int | None, str | None]:
    """Width, height and time taken, as far as the header of an image can be read."""
    try:
        with opened as image:
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
