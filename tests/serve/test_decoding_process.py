"""What becomes of requests when the processes that decode images end, hang, or cannot start."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time

import pytest
from picture_pools import URLS, decode, is_gone, opened, pictures_in, pool_of, slow_server, thumbnail
from PIL import Image

from vtsearch.errors import VtsearchError
from vtsearch.serve import decoding_process
from vtsearch.serve.errors import Overloaded
from vtsearch.serve.pictures import PicturePool


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def source(folder):
    return pictures_in(folder)


@pytest.fixture
def slow():
    with slow_server() as server:
        yield server


def within(seconds, fact):
    """Whether a fact holds within a time."""
    end = time.monotonic() + seconds
    while not fact() and time.monotonic() < end:
        time.sleep(0.01)
    return fact()


def test_one_that_is_killed_at_work_costs_its_request_alone(slow, source):
    async def ask(pool):
        async with asyncio.timeout(60):
            lost = asyncio.create_task(pool.thumbnail(URLS, slow.url, 64))
            assert await asyncio.to_thread(slow.asked.wait, 10)
            waiting = asyncio.create_task(pool.thumbnail(source, "small.png", 64))
            await asyncio.sleep(0)
            os.kill(pool.pids[0], signal.SIGKILL)
            with pytest.raises(
                VtsearchError, match=r"cannot read image http.*: the decoding process ended \(signal 9\)"
            ):
                await lost
            assert opened(await waiting).size == (32, 20)

    with pool_of() as pool:
        asyncio.run(ask(pool))


def test_one_that_is_killed_between_requests_costs_none(source):
    with pool_of(2) as pool:
        assert thumbnail(pool, source, "small.png").size == (32, 20)
        before = pool.pids
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        for _ in range(4):
            assert thumbnail(pool, source, "small.png").size == (32, 20)
        assert pool.pids != before


def test_one_that_takes_too_long_is_ended_and_replaced(slow, source):
    with pool_of(seconds=1.5) as pool:
        thumbnail(pool, source, "small.png")
        (before,) = pool.pids
        start = time.monotonic()
        with pytest.raises(VtsearchError, match=r"cannot read image http.*: took longer than 1\.5 seconds"):
            thumbnail(pool, URLS, slow.url)
        assert 1.5 <= time.monotonic() - start < 30
        assert is_gone(before)
        assert thumbnail(pool, source, "small.png").size == (32, 20)


def test_a_stopped_one_is_replaced(source, monkeypatch):
    with pool_of() as pool:
        thumbnail(pool, source, "small.png")
        monkeypatch.setattr(decoding_process, "START", 5.0)
        os.kill(pool.pids[0], signal.SIGSTOP)
        assert thumbnail(pool, source, "small.png").size == (32, 20)


def test_one_that_meets_its_bound_of_memory_says_so(source):
    file = io.BytesIO()
    Image.new("RGBA", (8000, 8000)).save(file, "png")
    with pool_of(memory=300 * 2**20) as pool:
        before = pool.pids
        with pytest.raises(VtsearchError, match="not enough memory"):
            decode(pool, file.getvalue())
        assert thumbnail(pool, source, "small.png").size == (32, 20)
        assert pool.pids == before


def test_one_that_cannot_start_says_so(source, monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with (
        pool_of() as pool,
        pytest.raises(VtsearchError, match=r"small\.png: the decoding process ended before it took the image"),
    ):
        thumbnail(pool, source, "small.png")


def test_one_that_cannot_be_replaced_yet_is_later(source, monkeypatch):
    with pool_of() as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        with monkeypatch.context() as patch:
            patch.setattr(decoding_process.subprocess, "Popen", refuse_to_start)
            for _ in range(2):
                with pytest.raises(VtsearchError, match=r"cannot start another decoding process: .*unavailable"):
                    thumbnail(pool, source, "small.png")
        assert thumbnail(pool, source, "small.png").size == (32, 20)


def refuse_to_start(*_, **__):
    raise BlockingIOError(11, "Resource temporarily unavailable")


def test_one_that_answers_nonsense_is_ended(source, monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nhead -c 1000 /dev/zero | tr '\\0' x; sleep 10\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pool_of() as pool, pytest.raises(VtsearchError, match="ended before it took the image"):
        thumbnail(pool, source, "small.png")


def test_signals_of_the_terminal_and_of_a_service_manager_are_not_for_it(source):
    with pool_of() as pool:
        thumbnail(pool, source, "small.png")
        (before,) = pool.pids
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(before, number)
        assert thumbnail(pool, source, "small.png").size == (32, 20)
        assert pool.pids == [before]
        assert os.getsid(before) != os.getsid(0)


def test_it_does_not_know_the_token(source, monkeypatch):
    monkeypatch.setenv("VTSEARCH_TOKEN", "secret")
    with pool_of() as pool:
        thumbnail(pool, source, "small.png")
        command = ["ps", "eww", str(pool.pids[0])]
        assert "secret" not in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_it_ends_when_the_server_is_killed(tmp_path):
    program = (
        "from vtsearch.serve.pictures import PicturePool\nimport time\n"
        "pool = PicturePool()\nprint(*pool.pids, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        pids = [int(pid) for pid in server.stdout.readline().split()]
        server.kill()
    assert len(pids) == 2
    assert within(20, lambda: all(map(is_ended, pids)))


def is_ended(pid):
    """Whether a process that is not of this one has ended, even if its new parent has not collected it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() == "" or state.startswith("Z")


def test_its_program_loads_neither_torch_nor_a_server():
    program = "import sys, vtsearch.serve.decoding_worker\nprint({'torch', 'fastapi', 'pyarrow'} & {*sys.modules})"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


def test_closing_ends_all_requests_and_processes(slow, source):
    async def ask(pool, pids):
        asked = [asyncio.create_task(pool.thumbnail(URLS, slow.url, 64)) for _ in range(5)]
        assert await asyncio.to_thread(slow.asked.wait, 10)
        pids += pool.pids
        await pool.close()
        for task in asked:
            with pytest.raises(Overloaded, match="the server is stopping"):
                await task
        with pytest.raises(Overloaded, match="the server is stopping"):
            await pool.thumbnail(source, "small.png", 64)
        await pool.close()

    pool, pids = PicturePool(2), []
    asyncio.run(ask(pool, pids))
    assert all(map(is_gone, pids))
    pool.terminate()


def test_closing_leaves_no_descriptor_open(source):
    def next_descriptor():
        descriptor = os.open(os.devnull, os.O_RDONLY)
        os.close(descriptor)
        return descriptor

    before = next_descriptor()
    with pool_of(3) as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        for _ in range(3):
            thumbnail(pool, source, "small.png")
    assert next_descriptor() == before
