"""Bounds on the work of the server: how much at a time, and for how long."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from vtsearch.serve.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Made = TypeVar("Made")


@dataclass(frozen=True)
class ServiceSettings:
    """What the server allows."""

    writable: bool = False
    """Whether items can be added and removed."""
    read_only: bool = False
    """Whether even decisions are refused."""
    upload_bytes: int = 32 * 2**20
    """Of one request."""
    pixels: int = 2**26
    """Of an uploaded picture."""
    seconds: float = 30.0
    """For one answer."""
    slow_requests: int = 128
    """Analyses and conditions at a time, those that wait included."""
    decoders: int = 2
    """Processes that decode pictures."""
    passes: int = 1
    """Over the codes of an index at a time; more than one where others scan them."""


class Work:
    """Threads for what takes long, and the time that it may take.

    Searches have one thread where the engine is here, as it uses all processors itself. Analyses and conditions have
    two beside it, and changes one, as they take turns at the folder.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self.engine = ThreadPoolExecutor(settings.passes, "engine")
        """Where searches run."""
        self._analyses = ThreadPoolExecutor(2, "analysis")
        self._changes = ThreadPoolExecutor(1, "change")
        self._under_way = 0
        self._is_over = False

    async def analysed(self, make: Callable[..., Made], *arguments: Any) -> Made:
        """What a function returns in a thread of analyses.

        Raises:
            Overloaded: too many are under way, or it has waited too long for them.
        """
        end = time.monotonic() + self._settings.seconds

        def begin() -> Made:
            if time.monotonic() > end:
                raise Overloaded("the server has too many long requests under way; try again in a moment")
            return make(*arguments)

        if self._under_way >= self._settings.slow_requests:
            raise Overloaded(f"the server has {self._under_way} long requests under way; try again in a moment")
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._analyses, begin)
        finally:
            self._under_way -= 1

    async def changed(self, change: Callable[..., Made], *arguments: Any) -> Made:
        """What a function returns that changes an index: no analysis holds it up."""
        return await asyncio.get_running_loop().run_in_executor(self._changes, partial(change, *arguments))

    async def bounded(self, answer: Awaitable[Made]) -> Made:
        """An answer that comes in time.

        Raises:
            Overloaded: it takes too long; what is under way for it goes on.
        """
        seconds = self._settings.seconds
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            raise Overloaded(f"the answer took more than {seconds:g} s; try again in a moment") from None

    def deadline(self) -> Callable[[int, int], None]:
        """Progress of a scan that raises ``Overloaded`` when its time is over, or the server ends."""
        seconds = self._settings.seconds
        end = time.monotonic() + seconds

        def check(_done: int, _total: int) -> None:
            if self._is_over:
                raise Overloaded("the server is stopping")
            if time.monotonic() > end:
                raise Overloaded(f"the analysis took more than {seconds:g} s; use a smaller radius or index")

        return check

    def close(self) -> None:
        """End the threads: scans at their next step, what waits at once."""
        self._is_over = True
        for executor in (self.engine, self._analyses, self._changes):
            executor.shutdown(wait=True, cancel_futures=True)
