"""Fetch a file over HTTP, with bounds on time, bytes and redirects, whatever the server does."""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.error import URLError
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import AbstractHTTPHandler, OpenerDirector, ProxyHandler, Request

from vtsearch.errors import VtsearchError, installed_version

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMES = ("http", "https")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BUSY = frozenset({429, 503})
"""Answers after which the same request is made once more."""
LONGEST_PAUSE = 30.0
KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path and a query; other characters beyond ASCII's letters and digits are quoted."""
PIECE = 2**16
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")


@dataclass(frozen=True)
class FetchLimits:
    """Bounds of a fetch."""

    idle_seconds: float = 10.0
    """To connect, and between two packets."""
    total_seconds: float = 60.0
    """In all, with redirects and further tries."""
    most_bytes: int = 64 * 2**20
    redirects: int = 5
    tries: int = 3
    """After a time-out, or where the server says that it is busy (429, 503)."""
    pause: float = 1.0
    """Seconds before the second try, twice as many before the third; the server may ask for up to 30."""


def is_url(text: str) -> bool:
    """Whether a text begins like a URL that ``fetch`` takes."""
    return text.lower().startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def without_credentials(url: str) -> str:
    """A URL without the name and the password before its host."""
    return _CREDENTIALS.sub("", url)


def fetch(url: str, limits: FetchLimits | None = None) -> bytes:
    """The content behind a URL; the proxies of the environment are used.

    A name and a password in the URL are sent to its host, and not to another that it redirects to; no message has them.

    Args:
        url: of http or https.
        limits: by default those of ``FetchLimits``.

    Raises:
        VtsearchError: anything but an answer 200 with a whole body within the limits.
    """
    limits = limits or FetchLimits()
    with _Deadline(limits.total_seconds) as deadline:
        try:
            content, reason = _try_again(url, limits, deadline), ""
        except _Failed as failed:
            content, reason = b"", str(failed)
        if deadline.expired:  # a body without a length would seem to have ended
            reason = f"took longer than {limits.total_seconds:g} seconds"
    if reason:
        raise VtsearchError(f"cannot fetch {without_credentials(url)}: {reason}")
    return content


class _Failed(Exception):  # noqa: N818 (it never leaves this module)
    """A fetch that came to nothing."""


class _Busy(_Failed):
    """One that may be tried again, after the seconds that the server asks for."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class _Deadline:
    """Ends the connection of a fetch when its time is over, whatever it is waiting for."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self.left <= 0

    def watch(self, connected: socket.socket) -> None:
        """Take the connection to end."""
        self._socket = connected
        if self.expired:
            self._expire()

    def _expire(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it has ended already
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # below TLS, which would wait for an answer


class _Handler(AbstractHTTPHandler):
    """Opens http and https through connections that a deadline watches."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: Request) -> Any:
        """Called by urllib."""
        return self.do_open(_watched(http.client.HTTPConnection, self._deadline), request)

    def https_open(self, request: Request) -> Any:
        """Called by urllib."""
        return self.do_open(_watched(http.client.HTTPSConnection, self._deadline), request)

    http_request = https_request = AbstractHTTPHandler.do_request_


def _watched(kind: type[http.client.HTTPConnection], deadline: _Deadline) -> Callable[..., http.client.HTTPConnection]:
    class Watched(kind):  # type: ignore[valid-type, misc]
        def connect(self) -> None:
            super().connect()
            deadline.watch(self.sock)

    return Watched


def _try_again(url: str, limits: FetchLimits, deadline: _Deadline) -> bytes:
    pause = limits.pause
    for attempt in range(1, limits.tries + 1):
        try:
            return _follow(url, limits, deadline)
        except _Busy as reason:
            wait = max(pause, min(reason.pause, LONGEST_PAUSE))
            if attempt == limits.tries or wait >= deadline.left:
                raise _Failed(f"{reason}, {attempt} times" if attempt > 1 else str(reason)) from reason
            time.sleep(wait)
            pause *= 2
    raise AssertionError("unreachable")


def _follow(url: str, limits: FetchLimits, deadline: _Deadline) -> bytes:
    for _ in range(limits.redirects + 1):
        with _open(url, limits, deadline) as response:
            if response.status == http.client.OK:
                return _body(response, limits)
            answer = f"answered {response.status} {http.client.responses.get(response.status, '')}".rstrip()
            if response.status in BUSY:
                raise _Busy(answer, _seconds(response.headers.get("Retry-After", "")))
            if response.status not in REDIRECTS or not response.headers.get("Location"):
                raise _Failed(answer)
            url = urljoin(url, response.headers["Location"])
    raise _Failed(f"more than {limits.redirects} redirects")


def _open(url: str, limits: FetchLimits, deadline: _Deadline) -> Any:
    opener = OpenerDirector()
    opener.add_handler(ProxyHandler())
    opener.add_handler(_Handler(deadline))
    try:
        return opener.open(_request(url), timeout=min(limits.idle_seconds, max(deadline.left, 0.001)))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _explained(error, limits) from error


def _body(response: Any, limits: FetchLimits) -> bytes:
    if response.length is not None and response.length > limits.most_bytes:
        raise _Failed(f"expected at most {limits.most_bytes:,} bytes, got {response.length:,}")
    wanted, content = response.length, bytearray()
    try:
        while piece := response.read(PIECE):
            content += piece
            if len(content) > limits.most_bytes:
                raise _Failed(f"expected at most {limits.most_bytes:,} bytes, got more")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _explained(error, limits) from error
    if wanted is not None and len(content) < wanted:
        raise _Failed(f"expected {wanted:,} bytes, got {len(content):,}")
    return bytes(content)


def _request(url: str) -> Request:
    """The request for a URL, with its credentials as a header.

    Raises:
        _Failed: a URL of another scheme, or without a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        shown = f"{parts.scheme}://" if parts.scheme else "one without a scheme"
        raise _Failed(f"expected a URL of http or https with a host, got {shown}")
    credentials, _, host = parts.netloc.rpartition("@")
    host = host if host.isascii() else host.encode("idna").decode()
    path, query = (quote(part, safe=KEPT) for part in (parts.path, parts.query))
    request = Request(urlunsplit((parts.scheme, host, path, query, "")))  # noqa: S310 (the scheme is checked above)
    request.add_header("User-Agent", f"vtsearch/{installed_version('vtsearch') or '0'}")
    if credentials:
        encoded = base64.b64encode(unquote(credentials).encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    return request


def _explained(error: Exception, limits: FetchLimits) -> _Failed:
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    if isinstance(cause, TimeoutError):
        return _Busy(f"no answer within {limits.idle_seconds:g} seconds")
    if isinstance(cause, socket.gaierror):
        return _Failed("no such host")
    if isinstance(cause, OSError) and cause.strerror:
        return _Failed(cause.strerror)
    return _Failed(f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__)


def _seconds(retry_after: str) -> float:
    """The seconds of a header ``Retry-After``; 0 for a date."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
