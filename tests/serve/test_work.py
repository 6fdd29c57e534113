"""Bounds on the work of the server."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from vtsearch.serve.errors import Overloaded
from vtsearch.serve.work import ServiceSettings, Work


@asynccontextmanager
async def busy(**settings):
    """Work whose two threads of analyses are taken until the block is left."""
    work, may_end = Work(ServiceSettings(**settings)), threading.Event()
    running = [asyncio.create_task(work.analysed(may_end.wait, 20)) for _ in range(2)]
    await asyncio.sleep(0.05)
    try:
        yield work
    finally:
        may_end.set()
        assert await asyncio.gather(*running) == [True, True]
        await asyncio.sleep(0.05)  # what waited has its turn
        work.close()


def test_so_many_analyses_may_wait_and_no_more():
    async def main():
        async with busy(slow_requests=3) as work:
            waiting = asyncio.create_task(work.analysed(int, "4"))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="the server has 3 long requests under way; try again in a moment"):
                await work.analysed(int, "5")
        assert await waiting == 4

    asyncio.run(main())


def test_an_analysis_that_has_waited_too_long_is_not_begun():
    async def main():
        begun = []
        async with busy(seconds=0.1) as work:
            waiting = asyncio.create_task(work.analysed(begun.append, 1))
            await asyncio.sleep(0.2)
        with pytest.raises(Overloaded, match="too many long requests under way"):
            await waiting
        assert begun == []

    asyncio.run(main())


def test_no_analysis_holds_up_a_change():
    async def main():
        async with busy() as work:
            assert await asyncio.wait_for(work.changed(int, "6"), 5) == 6

    asyncio.run(main())


def test_an_error_of_an_analysis_is_told_and_takes_no_place():
    async def main():
        work = Work(ServiceSettings(slow_requests=1))
        for _ in range(3):
            with pytest.raises(ValueError, match="invalid literal"):
                await work.analysed(int, "x")
        assert await work.analysed(int, "7") == 7
        work.close()

    asyncio.run(main())


def test_an_answer_that_takes_too_long():
    async def main():
        work = Work(ServiceSettings(seconds=0.05))
        with pytest.raises(Overloaded, match=r"the answer took more than 0\.05 s"):
            await work.bounded(asyncio.sleep(5))
        check = work.deadline()
        check(0, 1)
        await asyncio.sleep(0.1)
        with pytest.raises(Overloaded, match=r"the analysis took more than 0\.05 s"):
            check(1, 1)
        work.close()

    asyncio.run(main())


def test_scans_end_with_the_server():
    work = Work(ServiceSettings())
    check = work.deadline()
    work.close()
    with pytest.raises(Overloaded, match="the server is stopping"):
        check(0, 1)
