"""Questions of one moment are answered together, and none has anything of the others."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from vtsearch.serve.batching import Batcher
from vtsearch.serve.errors import Overloaded


class Doubling:
    """Doubles numbers, those of one call in one pass; holds its first pass until it may go on."""

    def __init__(self, is_held=False):
        self.passes, self.has_begun, self.may_go_on = [], threading.Event(), threading.Event()
        if not is_held:
            self.may_go_on.set()

    def __call__(self, questions):
        self.passes.append(list(questions))
        self.has_begun.set()
        assert self.may_go_on.wait(10)
        if "everything" in questions:
            raise KeyError("everything")
        return [each * 2 if isinstance(each, int) else ValueError(each) for each in questions]


@asynccontextmanager
async def batcher_of(answer, **bounds):
    with ThreadPoolExecutor(1) as executor:
        yield Batcher(answer, executor, **bounds)


@asynccontextmanager
async def held(**bounds):
    """A batcher whose first pass, of the question 0, is under way until the block lets it go on."""
    answer = Doubling(is_held=True)
    async with batcher_of(answer, **bounds) as batcher:
        first = asyncio.create_task(batcher.ask(0))
        assert await asyncio.to_thread(answer.has_begun.wait, 10)
        yield batcher, answer
        answer.may_go_on.set()
        assert await first == 0


async def asked(batcher, *questions):
    tasks = [asyncio.create_task(batcher.ask(each)) for each in questions]
    await asyncio.sleep(0)
    return tasks


def test_one_question_waits_for_nobody():
    async def main():
        async with batcher_of(Doubling()) as batcher:
            assert await batcher.ask(4) == 8
            assert await batcher.ask(5) == 10
            assert batcher.passes == 2

    asyncio.run(main())


def test_what_is_asked_during_a_pass_is_the_next_pass():
    async def main():
        async with held() as (batcher, answer):
            tasks = await asked(batcher, *range(1, 41))
            answer.may_go_on.set()
            assert await asyncio.gather(*tasks) == [2 * number for number in range(1, 41)]
            assert answer.passes == [[0], list(range(1, 41))]

    asyncio.run(main())


def test_a_pass_has_a_largest_size():
    async def main():
        async with held(most=3) as (batcher, answer):
            tasks = await asked(batcher, *range(1, 8))
            answer.may_go_on.set()
            assert await asyncio.gather(*tasks) == [2 * number for number in range(1, 8)]
            assert answer.passes == [[0], [1, 2, 3], [4, 5, 6], [7]]

    asyncio.run(main())


def test_the_error_of_a_question_is_its_own():
    async def main():
        async with held() as (batcher, answer):
            tasks = await asked(batcher, 1, "bad", 2)
            answer.may_go_on.set()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert (results[0], results[2]) == (2, 4)
            assert isinstance(results[1], ValueError)

    asyncio.run(main())


def test_the_error_of_a_pass_is_everybody_s_and_the_next_pass_has_none():
    async def main():
        async with held() as (batcher, answer):
            tasks = await asked(batcher, 1, "everything")
            answer.may_go_on.set()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == [KeyError, KeyError]
            assert await batcher.ask(3) == 6

    asyncio.run(main())


def test_who_leaves_before_the_pass_is_not_asked_for_and_during_it_hurts_nobody():
    async def main():
        async with held() as (batcher, answer):
            gone, stays = await asked(batcher, 1, 2)
            gone.cancel()
            answer.may_go_on.set()
            assert await stays == 4
            assert answer.passes == [[0], [2]]
            with pytest.raises(asyncio.CancelledError):
                await gone

    asyncio.run(main())


def test_who_leaves_during_a_pass_hurts_nobody():
    async def main():
        answer = Doubling(is_held=True)
        async with batcher_of(answer) as batcher:
            tasks = await asked(batcher, 1, 2)
            assert await asyncio.to_thread(answer.has_begun.wait, 10)
            tasks[0].cancel()
            await asyncio.sleep(0)
            answer.may_go_on.set()
            assert await tasks[1] == 4
            assert await batcher.ask(5) == 10

    asyncio.run(main())


def test_so_many_may_wait_and_no_more():
    async def main():
        async with held(waiting=2) as (batcher, answer):
            tasks = await asked(batcher, 1, 2)
            with pytest.raises(Overloaded, match="the server has 2 queries waiting"):
                await batcher.ask(3)
            answer.may_go_on.set()
            assert await asyncio.gather(*tasks) == [2, 4]
            assert await batcher.ask(3) == 6

    asyncio.run(main())
