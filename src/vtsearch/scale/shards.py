"""Several shards: what a sharded index asks, and the shards that are threads of this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from vtsearch.scale.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vtsearch.index.view import Span
    from vtsearch.scale.questions import Question


MOST_SHARDS = 4096
"""Each is a thread or a process."""

MOST_REPLICAS = 64


class Shards(Protocol):
    """A fixed number of shards, which are told with each question which items they are."""

    def __len__(self) -> int:
        """The number of shards."""

    def open(self, items: Sequence[tuple[Span, ...]]) -> None:
        """Open the items of each shard, before the first question about them.

        Raises:
            GenerationGoneError: an index that has changed since.
            VtsearchError: a damaged index; a shard that cannot be reached.
        """

    def ask(
        self,
        items: Sequence[tuple[Span, ...]],
        question: Question,
        own: Sequence[Any] | None = None,
        done: Callable[[int], object] | None = None,
    ) -> list[Any]:
        """The answers of all shards, in their order: all of them, or an error.

        Args:
            items: of each shard.
            question: sent to all.
            own: what is sent to each shard alone.
            done: called with the number of each shard that has answered.

        Raises:
            GenerationGoneError: an index that has changed since.
            VtsearchError: a damaged index; a shard that cannot be reached; and what the question raises.
        """

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        """What a function returns for each of some tasks, in their order; each shard has one at a time.

        Raises:
            VtsearchError: a shard that cannot be reached; and what the function raises.
        """

    def close(self, *, stop: bool = False) -> None:
        """End the shards; those that have a name only with ``stop``."""


class LocalShards:
    """Shards in threads of this process.

    Args:
        count: how many.
        threads: of each question to one shard, at most.
    """

    def __init__(self, count: int, threads: int) -> None:
        self._shards = [Shard(threads) for _ in range(count)]
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="vtsearch-shard")

    def __len__(self) -> int:
        return len(self._shards)

    def open(self, items: Sequence[tuple[Span, ...]]) -> None:
        """As ``Shards.open``."""
        for shard, spans in zip(self._shards, items, strict=True):
            shard.open(spans)

    def ask(
        self,
        items: Sequence[tuple[Span, ...]],
        question: Question,
        own: Sequence[Any] | None = None,
        done: Callable[[int], object] | None = None,
    ) -> list[Any]:
        """As ``Shards.ask``."""
        arguments = zip(self._shards, items, own or [None] * len(self), strict=True)
        asked = [self._pool.submit(shard.answer, spans, question, mine) for shard, spans, mine in arguments]
        answers = []
        for number, each in enumerate(asked):
            answers.append(each.result())
            if done is not None:
                done(number)
        return answers

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        """As ``Shards.map``."""
        return self._pool.map(function, tasks)

    def close(self, *, stop: bool = False) -> None:  # noqa: ARG002 (they have no name)
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)
