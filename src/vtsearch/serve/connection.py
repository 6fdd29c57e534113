"""A connection of the server, with bounds on what its client may do to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vtsearch.serve.problems import MEDIA_TYPE, content_of

MOST_CONNECTIONS = 2_000
OTHER_FILES = 1_000
"""That the server may have open beside its connections."""
HEADER_SECONDS = 10.0
"""From the first byte of a connection, or of a further request on it, to the end of its header."""
HEADER_BYTES = 2**16
"""Of an address and headers, about; the parser itself has no bound."""
STALLED_SECONDS = 15.0
"""Between two looks at a client that takes its answer slowly."""
LEAST_TAKEN = 2**14
"""Bytes that it takes between them."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed if no request comes, none that ends its header, or its answer is not taken."""

    _header_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None
    _unparsed = 0
    """Bytes that have come since the last request began."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._watch_header()

    def data_received(self, data: bytes) -> None:
        """Take bytes; their number and their time are counted while they make no request."""
        super().data_received(data)
        self._unparsed = 0 if self._is_answering() else self._unparsed + len(data)
        if self._unparsed > HEADER_BYTES and not self.transport.is_closing():
            detail = f"request: expected an address and headers of at most {HEADER_BYTES:,} bytes"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        self._watch_header()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request."""
        del msg
        self._refuse(HTTPStatus.BAD_REQUEST, "request: expected one of HTTP/1.1")

    def on_response_complete(self) -> None:
        """End a connection that was closed behind an answer, though its client takes none."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_answer()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which no further request comes."""
        super().timeout_keep_alive_handler()
        self._watch_answer()

    def pause_writing(self) -> None:
        """Wait until the client has taken a part of the answer."""
        super().pause_writing()
        self._watch_answer()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._answer_timer = _cancelled(self._answer_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._header_timer = _cancelled(self._header_timer)
        super().connection_lost(exc)
        self._answer_timer = _cancelled(self._answer_timer)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        content = json.dumps(content_of(status, detail)).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\nConnection: close\r\n"
        self.transport.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        self.transport.close()
        self._watch_answer()

    def _watch_header(self) -> None:
        if self._is_answering():
            self._header_timer = _cancelled(self._header_timer)
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._header_timer = None
        if not self._is_answering():
            self.transport.abort()

    def _watch_answer(self) -> None:
        if self._answer_timer is None:
            left = self.transport.get_write_buffer_size()
            self._answer_timer = self.loop.call_later(STALLED_SECONDS, self._look_at_answer, left)

    def _look_at_answer(self, before: int) -> None:
        """End the connection if its client has taken next to nothing of what was to be sent."""
        self._answer_timer = None
        left = self.transport.get_write_buffer_size()
        if before - left >= LEAST_TAKEN:
            self._watch_answer()
        else:
            self.transport.abort()

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete


def allow_connections() -> None:
    """Let the process have as many connections as the server takes, if the system lets it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 (not on Windows)

        files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_CONNECTIONS + OTHER_FILES
        if most != resource.RLIM_INFINITY:
            wanted = min(wanted, most)
        if files != resource.RLIM_INFINITY and files < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """No timer, in the place of this one."""
    if timer is not None:
        timer.cancel()
    return None
