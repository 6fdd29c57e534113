"""What stands before every request: who may ask, how much, and for how long; and what every answer carries."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from vtsearch.serve.problems import RETRY, problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from vtsearch.serve.telemetry import Telemetry

COOKIE = "vtsearch"
LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Hosts that a server on this machine answers to: a foreign name that leads here is not the user's doing."""
OPEN = ("/page/", "/healthz", "/readyz", "/favicon.ico")
"""Addresses that need no token: files of the page and whether the server lives."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_DRAINED_BODIES = 4
"""Times the largest body: what is thrown away of one that is refused."""
_DRAIN_SECONDS = 3.0

_log = logging.getLogger("vtsearch.serve")


@dataclass(frozen=True)
class GuardSettings:
    """Bounds on requests."""

    token: str | None = None
    """That requests must carry; None on a server that only this machine reaches."""
    hosts: frozenset[str] = field(default=LOCAL)
    """Names that the server answers to; empty for any."""
    body_bytes: int = 32 * 2**20
    body_seconds: float = 30.0
    """For a whole request to arrive."""
    send_seconds: float = 30.0
    """For a client to take a part of an answer."""
    requests: int = 256
    """Under way at a time."""


class _TooMuch(Exception):  # noqa: N818 (said of a body)
    """A body that is too large or too slow; holds the answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class Guard:
    """The outermost layer of the application (ASGI middleware)."""

    def __init__(self, app: ASGIApp, settings: GuardSettings, telemetry: Telemetry) -> None:
        self._app, self._settings, self._telemetry = app, settings, telemetry
        self._digest = None if settings.token is None else digest_of(settings.token)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, size = time.perf_counter(), 500, 0

        async def answered(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope["path"])
            else:
                size += len(message.get("body", b""))
            await asyncio.wait_for(send(message), self._settings.send_seconds)

        self._under_way += 1
        try:
            await self._answer(scope, receive, answered)
        except (TimeoutError, ClientDisconnect):
            status = 499  # the client takes nothing, or has gone; the connection is closed behind this
        finally:
            self._under_way -= 1
            self._telemetry.record(scope, status, time.perf_counter() - start, size)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is not None:
            await self._drain(scope, receive)
            await refusal(scope, receive, send)
            return
        _keep_encoded(scope)
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, self._bounded(receive), sending)
        except _TooMuch as reason:
            if not has_begun:
                await self._drain(scope, receive)
                await reason.answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that may not go on, or None."""
        headers, path, settings = Headers(scope=scope), scope["path"], self._settings
        host = _host_of(headers.get("host", ""))
        if settings.hosts and host not in settings.hosts:
            return problem(403, f"host: expected one of {', '.join(sorted(settings.hosts))}, got {host!r}")
        if path.startswith("/v1") and not _is_same_site(headers):
            return problem(403, "origin: requests of other sites are refused")
        if self._under_way > settings.requests:
            return problem(503, f"the server has {settings.requests} requests under way; try again in a moment", RETRY)
        if not (path == "/" or path.startswith(OPEN) or self._is_known(headers)):
            realm = {"WWW-Authenticate": 'Bearer realm="vtsearch"'}
            return problem(401, "token: expected that of the server, as Authorization: Bearer TOKEN", realm)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > settings.body_bytes:
            return self._too_large()
        return None

    def _is_known(self, headers: Headers) -> bool:
        """Whether a request carries the token: in its header, or in the cookie that the page has got for it."""
        if self._digest is None:
            return True
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(digest_of(token.strip()), self._digest):
            return True
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return any(
            name == COOKIE and hmac.compare_digest(value.encode(), self._digest.encode()) for name, _, value in cookies
        )

    def _bounded(self, receive: Receive) -> Receive:
        """The body of a request within its bytes and its time."""
        left, end = self._settings.body_bytes, time.monotonic() + self._settings.body_seconds
        is_whole = False

        async def bounded() -> Message:
            nonlocal left, is_whole
            if is_whole:  # what comes now is that the client has gone
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
            except TimeoutError:
                detail = f"body: expected all of it within {self._settings.body_seconds:g} s"
                raise _TooMuch(problem(408, detail, {"Connection": "close"})) from None
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooMuch(self._too_large())
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            return message

        return bounded

    async def _drain(self, scope: Scope, receive: Receive) -> None:
        """Throw away a part of a body that is refused: many clients read no answer before they have sent it."""
        left = 0 if "expect" in Headers(scope=scope) else _DRAINED_BODIES * self._settings.body_bytes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while left > 0:
                    message = await receive()
                    if not message.get("more_body", False):
                        return
                    left -= len(message["body"])

    def _too_large(self) -> Response:
        detail = f"body: expected at most {self._settings.body_bytes:,} bytes"
        return problem(413, detail, {"Connection": "close"})


def digest_of(token: str) -> str:
    """What stands for a token in a cookie, and in comparisons that take the same time for all tokens."""
    return hashlib.sha256(token.encode()).hexdigest()


def _host_of(host: str) -> str:
    """The name in a Host header, without its port."""
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    return name.lower()


def _is_same_site(headers: Headers) -> bool:
    """Whether a request comes from the page itself, or from no browser."""
    if headers.get("sec-fetch-site", "none") == "cross-site":
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    with contextlib.suppress(ValueError):
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return False


def _keep_encoded(scope: Scope) -> None:
    """Leave the escapes in addresses of items: an id may have slashes, and %2F is no separator."""
    raw = scope.get("raw_path", b"").partition(b"?")[0]
    if raw.startswith(b"/v1/items/"):
        scope["path"] = raw.decode("ascii", "replace")


def _add_headers(message: Message, path: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith("/v1"):
        headers.setdefault("Cache-Control", "no-store")
