"""The server: uvicorn, with bounds on what clients may do to a connection."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn

from vtsearch.serve.app import build_app
from vtsearch.serve.connection import BoundedProtocol, allow_connections
from vtsearch.serve.guard import LOCAL, GuardSettings
from vtsearch.serve.telemetry import JsonLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vtsearch.serve.service import SearchService

BACKLOG = 1_024
"""Connections that wait to be taken."""
SHUTDOWN_SECONDS = 10
"""That requests under way have when the server ends."""


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in {"localhost", "127.0.0.1", "::1"}

    def listen(self) -> socket.socket:
        """A socket that takes connections, which wait until a server asks for them.

        Raises:
            OSError: the host has no address, or none of this machine; the port is taken.
        """
        return self._bound(self.port)

    def listen_in_parts(self, count: int) -> list[socket.socket]:
        """Sockets of one port among which the system shares new connections out, where it is Linux; or one, repeated.

        Raises:
            OSError: as ``listen``.
        """
        alone = self._bound(self.port)  # beside others that share their port one would get in unseen
        if sys.platform != "linux":
            return [alone] * count
        with alone:
            port = alone.getsockname()[1]
        return [self._bound(port, shared=True) for _ in range(count)]

    def _bound(self, port: int, *, shared: bool = False) -> socket.socket:
        try:
            family, _, _, _, place = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(place[:2], family=family, backlog=BACKLOG, reuse_port=shared)
        except OSError as error:
            reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
            raise OSError(error.errno, reason, f"{self.host}:{port}") from error


def url_of(listening: Any) -> str:
    """The URL of the page behind a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class Server(uvicorn.Server):
    """uvicorn's server, which says where it listens.

    Args:
        config: of uvicorn.
        tell: called with the address once connections are taken.
    """

    def __init__(self, config: uvicorn.Config, tell: Callable[[str], object]) -> None:
        super().__init__(config)
        self._tell = tell

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End the server at SIGINT and SIGTERM; an end that was asked for is no failure of the process."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.should_exit:
            return
        self._tell(url_of(self.servers[0].sockets[0]))


def run(
    service: SearchService,
    address: Address,
    listening: socket.socket,
    *,
    token: str | None = None,
    log_requests: bool = False,
    tell: Callable[[str], object] = print,
) -> None:
    """Serve until a signal ends it; requests under way are answered first.

    Args:
        service: what answers.
        address: where to listen.
        listening: the socket of the address, which is closed at the end.
        token: that requests must carry; required where other machines reach the address.
        log_requests: whether standard error gets a JSON line for each request.
        tell: called with the URL once the server listens.

    Raises:
        ValueError: an address that other machines reach, without a token.
    """
    if token is None and not address.is_local:
        raise ValueError(f"token: expected one for {address.host}, which other machines reach (--token)")
    hosts = LOCAL | {address.host.lower()} if address.is_local else frozenset()
    settings = GuardSettings(token=token, hosts=hosts, body_bytes=service.settings.upload_bytes)
    log_to_stderr(requests=log_requests)
    allow_connections()
    config = uvicorn.Config(
        build_app(service, settings),
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing is made of what they say
        date_header=True,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=BACKLOG,
    )
    with listening:
        Server(config, tell).run([listening])


def log_to_stderr(*, requests: bool) -> None:
    """Warnings and errors, and requests if they are wanted, as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (
        ("vtsearch.serve", logging.WARNING),
        ("vtsearch.serve.requests", logging.INFO if requests else logging.WARNING),
        ("uvicorn", logging.WARNING),
        ("python_multipart", logging.CRITICAL),  # forms that are none are the client's
    ):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if "." not in name.removeprefix("vtsearch.serve") and not logger.handlers:
            logger.addHandler(handler)
            logger.propagate = False
