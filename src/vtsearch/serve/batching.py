"""Concurrent requests answered together: while one pass is under way, others gather for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from vtsearch.serve.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Gathers what is asked at the same time. A request that comes alone waits for nobody.

    Args:
        answer: the answers of some questions, in their order, in a thread; an exception stands for the answer of one.
        executor: of the threads.
        passes: that go on at once.
        most: questions of one pass.
        waiting: questions that may wait.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Sequence[Answer | Exception]],
        executor: Executor,
        *,
        passes: int = 1,
        most: int = 64,
        waiting: int = 1_024,
    ) -> None:
        self._answer, self._executor, self._most, self._limit = answer, executor, most, waiting
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._at_once, self._runners = passes, list[asyncio.Task[None]]()
        self.passes = 0
        """How many there have been."""

    async def ask(self, question: Question) -> Answer:
        """The answer of one question.

        Raises:
            Overloaded: too many wait.
            Exception: that of the question.
        """
        if len(self._waiting) >= self._limit:
            raise Overloaded(f"the server has {self._limit:,} queries waiting; try again in a moment")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        self._runners = [runner for runner in self._runners if not runner.done()]
        if len(self._runners) < self._at_once:
            self._runners.append(asyncio.create_task(self._run()))
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            count = min(self._most, len(self._waiting))
            taken = [self._waiting.popleft() for _ in range(count)]
            taken = [(question, future) for question, future in taken if not future.done()]  # whoever asked still waits
            if not taken:
                continue
            self.passes += 1
            answers: Sequence[Answer | Exception]
            try:
                answers = await loop.run_in_executor(self._executor, self._answer, [each[0] for each in taken])
            except Exception as error:  # noqa: BLE001 (the error belongs to those who wait for the answers)
                answers = [error] * len(taken)
            for (_, future), answer in zip(taken, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
