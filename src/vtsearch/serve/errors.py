"""Errors that only a server has."""

from __future__ import annotations

from vtsearch.errors import VtsearchError


class NotThere(VtsearchError):  # noqa: N818 (said of a request)
    """An item or an index that a request names and that does not exist."""


class Overloaded(VtsearchError):  # noqa: N818 (said of a request)
    """More requests than the server takes at a time, or one that takes longer than it allows: try again later."""


class TooLarge(VtsearchError):  # noqa: N818 (said of a request)
    """A request with more bytes, pixels or items than the server takes."""


class Refused(VtsearchError):  # noqa: N818 (said of a request)
    """What this server was not started for, such as changes without ``--writable``."""
