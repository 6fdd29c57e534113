"""Shards that are actors of a Ray cluster, with replicas; the work of a dead actor goes to another one."""

from __future__ import annotations

import itertools
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vtsearch.errors import UnavailableError, first_line
from vtsearch.scale.connection import connect
from vtsearch.scale.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vtsearch.index.view import Span
    from vtsearch.scale.questions import Question

NAMESPACE = "vtsearch"

CONCURRENCY = 8
"""Questions that an actor answers at once, each in a thread of its own; others wait."""

HEALTH = "health"
"""The group of calls for which an actor keeps a thread beside those."""

SENT_ONCE_BYTES = 2**16
"""A larger question is put into the object store once, for all shards."""

AVOIDED_SECONDS = 5.0
"""An actor that did not answer is the last choice for so long."""

PATIENCE_SECONDS = 2.0
"""After so long without an answer an actor is asked whether it is alive."""

ALIVE_SECONDS = 10.0
"""An actor that does not say so within this time is taken for dead."""

_PAUSE_SECONDS = 0.1


class UnreachableError(Exception):
    """An actor is dead, is being started again, or does not answer."""


class Actor:
    """One actor, by its handle."""

    def __init__(self, ray: Any, handle: Any, timeout: float) -> None:
        self._ray, self.handle, self._seconds = ray, handle, min(timeout, ALIVE_SECONDS)
        self.avoided = 0.0
        """Until when it is the last choice, on the clock ``time.monotonic``."""
        self.is_gone = False
        """Whether Ray will not start it again."""

    def call(self, method: str, *arguments: Any) -> Call:
        """Begin a call."""
        return Call(self._ray, self, getattr(self.handle, method).remote(*arguments))

    def is_alive(self) -> bool:
        """Whether it answers, whatever else it does."""
        asked = self.handle.ping.options(concurrency_group=HEALTH).remote()
        try:
            self._ray.get(asked, timeout=self._seconds)
        except self._ray.exceptions.RayError:
            return False
        return True


class Call:
    """A call that was begun."""

    def __init__(self, ray: Any, actor: Actor, asked: Any) -> None:
        self._ray, self._actor, self._asked = ray, actor, asked

    def result(self) -> Any:
        """What the actor returned or raised.

        Raises:
            UnreachableError: the actor did not come to an end.
        """
        errors = self._ray.exceptions
        while True:
            try:
                return self._ray.get(self._asked, timeout=PATIENCE_SECONDS)
            except errors.RayTaskError as error:
                raise (error.cause or error) from None
            except errors.GetTimeoutError as error:
                if not self._actor.is_alive():
                    raise self._unreachable("it does not answer") from error
            except errors.RayError as error:
                self._actor.is_gone |= isinstance(error, errors.ActorDiedError)
                raise self._unreachable(first_line(error)) from error

    def _unreachable(self, reason: str) -> UnreachableError:
        self._actor.avoided = time.monotonic() + AVOIDED_SECONDS
        return UnreachableError(reason)


class ActorShards:
    """Shards on the nodes of a Ray cluster; each is an actor, or several that share its questions.

    Args:
        count: of the shards.
        replicas: actors of each.
        cpus: that Ray reserves for an actor.
        threads: of one question to one actor, at most; by default as many as ``cpus``, at least 1.
        timeout: seconds that a question waits for a shard of which no actor is alive.
        name: of actors that stay when this process ends, and are found by it; by default they end with it.
        address: of the cluster, as for ``connect``.

    Raises:
        TypeError, ValueError: cpus or timeout that is not a positive number.
        ModuleNotFoundError, VtsearchError: as ``connect``.
    """

    def __init__(
        self,
        count: int,
        *,
        replicas: int,
        cpus: float,
        threads: int | None,
        timeout: float,
        name: str | None,
        address: str,
    ) -> None:
        for argument, value in (("cpus", cpus), ("timeout", timeout)):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{argument}: expected a number, got {value!r}")
            if not value > 0:
                raise ValueError(f"{argument}: expected more than 0, got {value}")
        self._ray: Any = connect(address)
        self._timeout, self._name = float(timeout), name
        most = max(int(cpus), 1) if threads is None else threads
        names = [[f"{number} of {count}, {replica}" for replica in range(replicas)] for number in range(count)]
        self._actors = [
            [Actor(self._ray, self._started(each, cpus, most), self._timeout) for each in shard] for shard in names
        ]
        self._turns = itertools.count()

    def __len__(self) -> int:
        return len(self._actors)

    def open(self, items: Sequence[tuple[Span, ...]]) -> None:
        """As ``Shards.open``; one replica is enough, others open the items when they are asked and alive."""
        begun = [
            [actor.call("open", spans) for actor in actors] for actors, spans in zip(self._actors, items, strict=True)
        ]
        for number, (first, *others) in enumerate(begun):
            self._answer(number, first, ("open", items[number]))
            for call in others:
                with suppress(UnreachableError):
                    call.result()

    def ask(
        self,
        items: Sequence[tuple[Span, ...]],
        question: Question,
        own: Sequence[Any] | None = None,
        done: Callable[[int], object] | None = None,
    ) -> list[Any]:
        """As ``Shards.ask``."""
        sent = self._ray.put(question) if question.nbytes > SENT_ONCE_BYTES else question
        calls = [("answer", spans, sent, mine) for spans, mine in zip(items, own or [None] * len(self), strict=True)]
        turn = next(self._turns)
        begun = [next(self._in_turn(number, turn)).call(*call) for number, call in enumerate(calls)]
        answers = []
        for number, first in enumerate(begun):
            answers.append(self._answer(number, first, calls[number]))
            if done is not None:
                done(number)
        return answers

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        """As ``Shards.map``; a task whose actor dies is run again by another one of its shard."""

        def result(numbered: tuple[int, Any]) -> Any:
            number, call = numbered[0] % len(self), ("run", function, numbered[1])
            return self._answer(number, next(self._in_turn(number, next(self._turns))).call(*call), call)

        with ThreadPoolExecutor(len(self), thread_name_prefix="vtsearch-shard") as pool:
            yield from pool.map(result, enumerate(tasks))

    def close(self, *, stop: bool = False) -> None:
        """End the actors; those that have a name only with ``stop``."""
        if self._name is None or stop:
            for actor in itertools.chain.from_iterable(self._actors):
                with suppress(self._ray.exceptions.RayError):
                    self._ray.kill(actor.handle)

    def _started(self, number: str, cpus: float, threads: int) -> Any:
        """A handle of an actor that is being started, or that has this name."""
        shard = self._ray.remote(concurrency_groups={HEALTH: 1}, num_cpus=cpus, max_restarts=-1)(Shard)
        options: dict[str, Any] = {"max_concurrency": CONCURRENCY, "scheduling_strategy": "SPREAD"}
        if self._name is not None:
            options |= {"name": f"{self._name}: {number}", "namespace": NAMESPACE}
            options |= {"lifetime": "detached", "get_if_exists": True}
        return shard.options(**options).remote(threads)

    def _in_turn(self, number: int, turn: int) -> Iterator[Actor]:
        """The actors of a shard, each at the beginning in its turn; those that did not answer last."""
        actors, now = self._actors[number], time.monotonic()
        start = turn % len(actors)
        return iter(sorted(actors[start:] + actors[:start], key=lambda actor: (actor.is_gone, actor.avoided > now)))

    def _answer(self, number: int, first: Call, call: Sequence[Any]) -> Any:
        """What a call returned that was begun, or else the same call of another actor of its shard.

        Raises:
            UnavailableError: no actor of the shard answers.
        """
        end, pause = math.inf, 0.0
        calls: Iterable[Call] = [first]
        while True:
            for each in calls:
                try:
                    return each.result()
                except UnreachableError as error:
                    reason = error
            now = time.monotonic()
            end = min(end, now + self._timeout)  # from the first failure: a scan may take longer
            if all(actor.is_gone for actor in self._actors[number]) or now > end:
                raise UnavailableError(
                    f"shard {number + 1} of {len(self)}: expected an answer within {self._timeout:g} s, got none "
                    f"({reason}); the answer of the others would be incomplete"
                )
            time.sleep(pause)
            pause = _PAUSE_SECONDS
            calls = (actor.call(*call) for actor in self._in_turn(number, next(self._turns)))
