"""By what a later look at a stored image tells whether it has changed."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple


class Stamp(NamedTuple):
    """Size, time and place of a stored image before it was read."""

    size: int | None
    """Bytes; None where only reading would tell."""
    modified_ns: int
    """Time of the file, or of the one that the image is part of."""
    place: str | None = None
    """Of a part of a file: where it begins, and the size of the file, as ``512/10240``."""

    @property
    def modified(self) -> str:
        """The time in UTC, as an ISO text with nanoseconds."""
        seconds, rest = divmod(self.modified_ns, 10**9)
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)  # noqa: DTZ001 (UTC, before 1970 too)
        return f"{moment.isoformat(sep=' ')}.{rest:09}"
