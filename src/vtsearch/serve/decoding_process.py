"""A process that decodes images, replaced when it ends or takes too long."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError, first_line
from vtsearch.serve.channel import Channel, Message
from vtsearch.serve.errors import Overloaded, TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

START = 60.0
"""Seconds within which a process takes a request; it may have to be started, on a busy machine."""
GONE = 5.0
"""Seconds within which a killed process is gone."""
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
            _end(self._process)

    def close(self) -> None:
        """Close the pipes to a process that was ended, once no thread asks it any more."""
        self._channel.close()

    def _takes(self, fields: Mapping[str, Any], content: bytes) -> bool:
        """Whether the process takes a request."""
        deadline = time.monotonic() + START
        try:
            self._channel.send(fields, content, deadline)
            return "taken" in self._channel.receive(0, deadline).fields
        except (OSError, EOFError, ValueError):
            return False

    def _replace(self) -> str:
        """Start another process; how the one before ended."""
        with self._lock:
            how = _end(self._process)
            self._channel.close()
            if self._is_over:
                raise Overloaded("images: the server is stopping")
            try:
                self._start()
            except OSError as reason:
                raise DecodingError(f"cannot start another decoding process: {first_line(reason)}") from reason
        return how

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in SECRETS} | ONE_THREAD
        reading, its_writing = os.pipe()
        its_reading, writing = os.pipe()
        channel = Channel(reading, writing)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this package)
                self._command,
                stdin=its_reading,
                stdout=its_writing,
                stderr=subprocess.DEVNULL,  # decoders write about the images
                env=environment,
                start_new_session=True,  # Ctrl-C in the server's terminal is the server's
            )
        except BaseException:
            channel.close()
            raise
        finally:
            os.close(its_reading)
            os.close(its_writing)
        self._channel = channel


def _end(process: subprocess.Popen[bytes]) -> str:
    """Kill a process and wait until it is gone; how it ended."""
    process.kill()
    try:
        status = process.wait(GONE)
    except subprocess.TimeoutExpired:  # it waits for a file system that does not answer; the next Popen collects it
        return "it does not end"
    return f"signal {-status}" if status < 0 else f"status {status}"


def _error_of(fields: Mapping[str, Any]) -> Exception:
    """The error that a process met, from its fields."""
    if fields["kind"] == "OSError":
        return OSError(fields["errno"], fields["strerror"], fields["filename"])
    kinds: dict[str, type[Exception]] = {"TooLarge": TooLarge, "ModuleNotFoundError": ModuleNotFoundError}
    return kinds.get(fields["kind"], VtsearchError)(fields["text"])
