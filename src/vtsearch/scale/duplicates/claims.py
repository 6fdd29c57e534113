"""Tasks of array jobs: processes that share nothing but a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vtsearch import _validate
from vtsearch._atomic_io import remove_leftovers, writer_lock

POLL_SECONDS = 0.2
TOLD_SECONDS = 60.0


class ClaimedTasks:
    """Runs the tasks of one worker of several, then those of others that nobody runs.

    A task is claimed by a lock on its folder, which the system gives back however its holder ends. So no worker has to
    run beside another one, and none waits but for tasks that are running now. Where a file system has no locks, two
    workers may run the same task, which costs time and changes nothing.

    Args:
        number: of this worker, from 0.
        count: of the workers.
        tell: called with a sentence now and then while others are waited for.

    Raises:
        TypeError: number or count that is not an int.
        ValueError: a number that is not below the count.
    """

    def __init__(self, number: int, count: int, tell: Callable[[str], object] = lambda _: None) -> None:
        self._count = _validate.whole_number("count", count, 1)
        self._number = _validate.whole_number("number", number, 0, count - 1)
        self._tell, self.done = tell, 0
        """Tasks that this worker has run."""

    def map(self, function: Callable[[Any], None], tasks: Sequence[Any]) -> Iterator[None]:
        """Run the function for each task that no other worker does; yields after each that is done, until all are.

        Raises:
            Exception: what a task raised.
        """
        own = [task for number, task in enumerate(tasks) if number % self._count == self._number]
        others = [task for number, task in enumerate(tasks) if number % self._count != self._number]
        begin = len(others) * self._number // self._count
        waiting, told = [*own, *others[begin:], *others[:begin]], time.monotonic()
        while waiting:
            held = []
            for task in waiting:
                if self._ran(function, task):
                    yield None
                else:
                    held.append(task)
            if held and time.monotonic() - told > TOLD_SECONDS:
                told = time.monotonic()
                self._tell(f"waiting for {len(held)} tasks of other workers, such as {held[0].name}")
            if len(held) == len(waiting):
                time.sleep(POLL_SECONDS)
            waiting = held

    def _ran(self, function: Callable[[Any], None], task: Any) -> bool:
        """Whether the task is done, by this worker or another."""
        if task.is_done:
            return True
        try:
            lock = writer_lock(task.place)
        except BlockingIOError:
            return False
        with lock:
            if not task.is_done:
                if lock.is_exclusive:
                    remove_leftovers(task.place)
                function(task)
                self.done += 1
        return True
