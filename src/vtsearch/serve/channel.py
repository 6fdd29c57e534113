"""Messages over two pipes: a few JSON fields and bytes each, within a time."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = struct.Struct(">IQ")
"""Bytes of the fields, bytes of the content."""
MOST_FIELDS = 2**20


class Message(NamedTuple):
    """What one side says to the other."""

    fields: Mapping[str, Any]
    """JSON values; unlike a pickled object they do nothing when they are read."""
    content: bytearray


class Channel:
    """One side of two pipes, of which no call waits longer than until its deadline (``time.monotonic``).

    After an error the pipes may stand in the middle of a message and are of no more use.

    Args:
        reading: the descriptor to read from; the channel owns it.
        writing: the descriptor to write to; the channel owns it.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)

    def close(self) -> None:
        """Close both pipes; further calls raise ``OSError``."""
        descriptors, self._reading, self._writing = (self._reading, self._writing), -1, -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def send(self, fields: Mapping[str, Any], content: bytes | bytearray = b"", deadline: float | None = None) -> None:
        """Write a message.

        Raises:
            TimeoutError: the deadline has passed.
            BrokenPipeError: the other side is gone.
        """
        text = json.dumps(fields).encode()
        for part in (HEAD.pack(len(text), len(content)) + text, content):
            left = memoryview(part)
            while left:
                try:
                    left = left[os.write(self._writing, left) :]
                except BlockingIOError:
                    _wait(self._writing, select.POLLOUT, deadline)

    def receive(self, most: int, deadline: float | None = None) -> Message:
        """Read the next message, of at most that many bytes of content.

        Raises:
            TimeoutError: the deadline has passed.
            EOFError: the other side is gone.
            ValueError: what was read is no message, or a longer one.
        """
        fields, content = HEAD.unpack(self._read(HEAD.size, deadline))
        if fields > MOST_FIELDS or content > most:
            raise ValueError(f"expected at most {MOST_FIELDS:,} and {most:,} bytes, got {fields:,} and {content:,}")
        read = json.loads(self._read(fields, deadline))
        if not isinstance(read, dict):
            raise ValueError(f"expected an object, got {type(read).__name__}")  # noqa: TRY004 (a value, not an argument)
        return Message(read, self._read(content, deadline))

    def _read(self, size: int, deadline: float | None) -> bytearray:
        whole = bytearray(size)
        left = memoryview(whole)
        while left:
            try:
                count = os.readv(self._reading, [left])
            except BlockingIOError:
                _wait(self._reading, select.POLLIN, deadline)
                continue
            if not count:
                raise EOFError
            left = left[count:]
        return whole


def _wait(descriptor: int, event: int, deadline: float | None) -> None:
    """Return when a descriptor can be read or written, or the other side is gone."""
    poll = select.poll()
    poll.register(descriptor, event)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    if not poll.poll(left):
        raise TimeoutError
