"""One shard: consecutive items of one or several indexes, and its answers about them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from vtsearch.index import IndexView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtsearch.index.view import Span
    from vtsearch.scale.questions import Question

MOST_GENERATIONS = 2
"""Held open: the one that is asked, and the next or the one before."""


class Shard:
    """Answers questions about the items that they name; holds those of the last two generations open.

    Args:
        threads: upper bound for each question.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._open: dict[tuple[Span, ...], IndexView] = {}
        self._opening = threading.Lock()

    def ping(self) -> None:
        """Return, which shows that this shard is alive."""

    def open(self, spans: Sequence[Span]) -> None:
        """Open some items before the first question about them.

        Raises:
            GenerationGoneError: an index that has changed since.
            VtsearchError: a damaged index.
        """
        self._view(tuple(spans))

    def answer(self, spans: Sequence[Span], question: Question, own: Any) -> Any:
        """The answer to a question about some items, which are opened if they are not open.

        Raises:
            GenerationGoneError: an index that has changed since.
            VtsearchError: a damaged index; and what the question raises.
        """
        return question.answer(self._view(tuple(spans)), own, self._threads)

    def run(self, function: Callable[[Any], Any], task: Any) -> Any:
        """What a function returns for a task that is not about these items."""
        return function(task)

    def _view(self, spans: tuple[Span, ...]) -> IndexView:
        with self._opening:
            view = self._open.pop(spans, None)
            if view is None:
                before = [part for each in self._open.values() for part in each.state.parts]
                view = IndexView.open(spans, before)
            self._open[spans] = view  # the last one is the one that was used last
            while len(self._open) > MOST_GENERATIONS:
                del self._open[next(iter(self._open))]
        return view
