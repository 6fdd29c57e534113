"""Errors that only a server has."""

from __future__ import annotations

from vtsearch.errors import VtsearchError


class NotThere(VtsearchError):
    """An item or an index that a request names and that does not exist."""


class Overloaded(VtsearchError):
    """More requests than the server takes at a time, or one that takes longer than it allows: try again later."""


class TooLarge(VtsearchError):
    """A request with more bytes, pixels or items than the server takes."""


class Refused(VtsearchError):
    """What this server was not started for, such as changes without ``--writable``."""
