"""Several server processes behind one port: started together, started again when one ends, ended together.

This process listens and takes no connection. Each server has a socket of its own, among which the system shares new
connections out: from one that all had, the first to wake would take all that come at once, and keep them. As the
sockets stay open here, connections that wait for a server that ends are taken by the one in its place.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import tempfile
import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError
from vtsearch.serve.server import SHUTDOWN_SECONDS, log_to_stderr, url_of
from vtsearch.serve.telemetry import METRICS_FOLDER

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

MOST_ENDS, WITHIN = 10, 60.0
"""Servers that end by themselves within so many seconds: after those none takes their place."""
PAUSE = 1.0
"""Seconds before a server is started again, if it is not the only one that has ended lately."""
KILL_SECONDS = SHUTDOWN_SECONDS + 5
"""After which a server that was asked to end is killed."""

_log = logging.getLogger("vtsearch.serve")


class Workers:
    """Processes that serve one port.

    Args:
        command: that starts a server, which reads a line of JSON and tells when it answers, as ``Supervisor`` does.
        start: what the line says, beside "socket", the number of the open file.
        sockets: that listen at the port, one for each process; they are closed at the end.
    """

    def __init__(self, command: Sequence[str], start: Mapping[str, Any], sockets: Sequence[socket.socket]) -> None:
        self._command, self._start, self._sockets = command, start, sockets
        self._environment: Mapping[str, str] = {}
        self._running: set[_Worker] = set()
        self._ends: deque[float] = deque(maxlen=MOST_ENDS - 1)
        self._awaited = len(sockets)
        """Servers that have not answered yet."""
        self._is_over = False

    def run(self, tell: Callable[[str], object]) -> None:
        """Serve until a signal ends it; requests under way are answered first.

        Args:
            tell: called with the URL once all processes answer.

        Raises:
            VtsearchError: a process that does not come to answer; processes that end again and again.
        """
        log_to_stderr(requests=False)
        with ExitStack() as stack:
            for listening in self._sockets:
                stack.enter_context(listening)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vtsearch-metrics-"))
            self._environment = {**os.environ, METRICS_FOLDER: folder}
            asyncio.run(self._run(tell))

    async def _run(self, tell: Callable[[str], object]) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._end, number)
        keepers = (self._keep(listening, tell) for listening in self._sockets)
        for error in await asyncio.gather(*keepers, return_exceptions=True):
            if error is not None:
                raise error

    async def _keep(self, listening: socket.socket, tell: Callable[[str], object]) -> None:
        """Keep one server going until all are to end."""
        worker = None
        try:
            worker = await self._started(listening)
            self._count_answer(await worker.answer(), listening, tell)
            while how := await self._ended(worker):
                await asyncio.sleep(self._pause(how))
                worker = await self._started(listening)
        except BaseException:
            self._end(signal.SIGTERM)
            if worker is not None:
                await worker.ended()
            raise

    def _count_answer(self, reason: str | None, listening: socket.socket, tell: Callable[[str], object]) -> None:
        """Count a server that answers, and tell of the last.

        Raises:
            VtsearchError: it does not, for a reason.
        """
        if self._is_over:
            return
        if reason is not None:
            raise VtsearchError(reason)
        self._awaited -= 1
        if self._awaited == 0:
            tell(url_of(listening))

    async def _started(self, listening: socket.socket) -> _Worker:
        worker = await _Worker.started(self._command, self._start, listening.fileno(), self._environment)
        self._running.add(worker)
        if self._is_over:
            worker.send_signal(signal.SIGTERM)
        return worker

    async def _ended(self, worker: _Worker) -> str:
        """Wait for the end of a server; how it ended, or nothing if it was to."""
        how = await worker.ended()
        self._running.discard(worker)
        return "" if self._is_over else how

    def _pause(self, how: str) -> float:
        """Seconds until another server takes the place of one that has ended.

        Raises:
            VtsearchError: too many have ended lately.
        """
        now = time.monotonic()
        if len(self._ends) == MOST_ENDS - 1 and now - self._ends[0] < WITHIN:
            raise VtsearchError(f"server processes ended {MOST_ENDS} times within {WITHIN:g} s; the last: {how}")
        _log.warning("a server process ended (%s); another takes its place", how)
        alone = not self._ends or now - self._ends[-1] >= WITHIN
        self._ends.append(now)
        return 0.0 if alone else PAUSE

    def _end(self, number: int) -> None:
        """Tell all servers to end; those that do not are killed."""
        if not self._is_over:
            self._is_over = True
            asyncio.get_running_loop().call_later(KILL_SECONDS, self._kill)
        for worker in self._running:
            worker.send_signal(number)

    def _kill(self) -> None:
        for worker in self._running:
            worker.send_signal(signal.SIGKILL)


class _Worker:
    """A process of ``command``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def started(
        cls, command: Sequence[str], start: Mapping[str, Any], file: int, environment: Mapping[str, str]
    ) -> _Worker:
        """A new process, in a session of its own: Ctrl-C in the terminal is the parent's."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, pass_fds=(file,), env=environment, start_new_session=True
        )
        assert process.stdin is not None
        process.stdin.write(
            json.dumps({**start, "socket": file}).encode() + b"\n"
        )  # it stays open: its end is that of this process
        return cls(process)

    async def answer(self) -> str | None:
        """Wait until the process takes connections; if it does not come to that, why."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            return f"a server process did not start ({await self.ended()})"
        reason: str | None = json.loads(line)["error"]
        return reason

    async def ended(self) -> str:
        """Wait until the process has ended; why, or how."""
        assert self._process.stdout is not None
        said = await self._process.stdout.read()
        status = await self._process.wait()
        reasons = [json.loads(line)["error"] for line in said.splitlines()]
        if any(reasons):
            return str(reasons[-1])
        return f"signal {-status}" if status < 0 else f"status {status}"

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process has not ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)
