"""A process that decodes images, replaced when it ends or takes too long."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError
from vtsearch.serve.channel import Channel, Message
from vtsearch.serve.errors import Overloaded, TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

START = 60.0
"""Seconds within which a process takes a request; it may have to be started, on a busy machine."""
TRIES = 2
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SECRETS = frozenset({"VTSEARCH_TOKEN"})
"""Variables that are no business of a process which opens the files of strangers."""


class DecodingError(VtsearchError):
    """A request without an answer: the process ended, or took too long."""


class DecodingProcess:
    """A process that decodes images, for one thread at a time; ``terminate`` is for any.

    Args:
        memory: bytes that the process may allocate.
        most_pixels: of an upload.
    """

    def __init__(self, memory: int, most_pixels: int) -> None:
        self._command = [sys.executable, "-P", "-m", "vtsearch.serve.decoding_worker", str(memory), str(most_pixels)]
        self._most_bytes = 3 * most_pixels + 2**20
        self._lock = threading.Lock()
        self._is_over = False
        self._start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    def ask(self, fields: Mapping[str, Any], content: bytes, seconds: float) -> Message:
        """The answer to a request.

        Raises:
            DecodingError: the process ended, or took longer than that many seconds; another one has taken its place.
            Overloaded: ``terminate`` was called.
            VtsearchError, OSError, ModuleNotFoundError: the error that the process met.
        """
        for _ in range(TRIES):
            if self._takes({**fields, "seconds": seconds}, content):
                break
            self._replace()  # it ended while it had nothing to do, which is no fault of this request
        else:
            raise DecodingError("the decoding process ended before it took the image")
        try:
            answer = self._channel.receive(self._most_bytes, time.monotonic() + seconds)
        except TimeoutError:
            self._replace()
            raise DecodingError(f"took longer than {seconds:g} seconds") from None
        except (EOFError, ValueError) as reason:
            raise DecodingError(f"the decoding process ended ({self._replace()})") from reason
        if "error" in answer.fields:
            raise _error_of(answer.fields["error"])
        return answer

    def terminate(self) -> None:
        """End the process, whatever it does."""
        with self._lock:
            self._is_over = True
            self._process.kill()
            self._process.wait()

    def _takes(self, fields: Mapping[str, Any], content: bytes) -> bool:
        """Whether the process takes a request."""
        deadline = time.monotonic() + START
        try:
            self._channel.send(fields, content, deadline)
            return "taken" in self._channel.receive(0, deadline).fields
        except (TimeoutError, EOFError, BrokenPipeError, ValueError):
            return False

    def _replace(self) -> str:
        """Start another process; how the one before ended."""
        with self._lock:
            self._process.kill()
            status = self._process.wait()
            self._channel.close()
            if self._is_over:
                raise Overloaded("images: the server is stopping")
            self._start()
        return f"signal {-status}" if status < 0 else f"status {status}"

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in SECRETS} | ONE_THREAD
        reading, its_writing = os.pipe()
        its_reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this package)
                self._command,
                stdin=its_reading,
                stdout=its_writing,
                stderr=subprocess.DEVNULL,  # decoders write about the images
                env=environment,
                start_new_session=True,  # Ctrl-C in the server's terminal is the server's
            )
        finally:
            os.close(its_reading)
            os.close(its_writing)
        self._channel = Channel(reading, writing)


def _error_of(fields: Mapping[str, Any]) -> Exception:
    """The error that a process met, from its fields."""
    if fields["kind"] == "OSError":
        return OSError(fields["errno"], fields["strerror"], fields["filename"])
    kinds: dict[str, type[Exception]] = {"TooLarge": TooLarge, "ModuleNotFoundError": ModuleNotFoundError}
    return kinds.get(fields["kind"], VtsearchError)(fields["text"])
