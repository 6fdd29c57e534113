from __future__ import annotations

import os
import struct
import threading
import time

import pytest

from vtsearch.serve.channel import HEAD, Channel


@pytest.fixture
def sides():
    """The two sides of a channel."""
    (a, b), (c, d) = os.pipe(), os.pipe()
    sides = Channel(a, d), Channel(c, b)
    yield sides
    for side in sides:
        side.close()


@pytest.mark.parametrize("size", [0, 1, 2**16, 5 * 2**20])
def test_messages_arrive_as_they_were_sent(sides, size):
    content = os.urandom(size)
    fields = {"name": "a\0\n<é>\udc80", "side": 7, "none": None}
    sender = threading.Thread(target=lambda: [sides[0].send(fields, content) for _ in range(2)])
    sender.start()
    for _ in range(2):
        message = sides[1].receive(size, time.monotonic() + 10)
        assert (message.fields, bytes(message.content)) == (fields, content)
    sender.join()


def test_no_call_waits_beyond_its_deadline(sides):
    for call in (lambda at: sides[0].receive(9, at), lambda at: sides[0].send({}, b"x" * 2**22, at)):
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            call(start + 0.1)
        assert 0.09 < time.monotonic() - start < 5


def test_the_end_of_the_other_side_is_told(sides):
    sides[1].close()
    with pytest.raises(EOFError):
        sides[0].receive(9)
    with pytest.raises(BrokenPipeError):
        sides[0].send({})


@pytest.mark.parametrize(
    "written",
    [HEAD.pack(2, 10) + b"{}", HEAD.pack(2**31, 0), HEAD.pack(2, 0) + b"[]", HEAD.pack(2, 0) + b"{x", b"x" * 99],
    ids=["long content", "long fields", "a list", "no JSON", "nonsense"],
)
def test_what_is_no_message_is_refused(written):
    (a, b), (c, d) = os.pipe(), os.pipe()
    channel = Channel(a, d)
    os.write(b, written)
    with pytest.raises(ValueError):
        channel.receive(9)
    channel.close()
    os.close(b)
    os.close(c)


def test_a_closed_channel_is_closed(sides):
    sides[0].close()
    sides[0].close()
    with pytest.raises(OSError, match="Bad file"):
        sides[0].send({})
    assert struct.calcsize(HEAD.format) == HEAD.size == 12
