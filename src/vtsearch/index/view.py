"""Read-only views of consecutive items of one or several indexes."""

from __future__ import annotations

import bisect
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from vtsearch._validate import whole_number
from vtsearch.errors import VtsearchError
from vtsearch.index.generation import Generation
from vtsearch.index.joining import joined_about
from vtsearch.index.reading import Reading
from vtsearch.index.segments import open_segments
from vtsearch.index.store import FILE_NAME, Store
from vtsearch.index.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.index.about import About
    from vtsearch.index.segments import Part


class GenerationGoneError(VtsearchError):
    """An index has changed: its folder no longer has the generation that was asked for."""


class Span(NamedTuple):
    """Consecutive items of one generation of an index, by name: how another process opens them."""

    folder: Path
    start: int
    stop: int
    generation: str

    @property
    def items(self) -> int:
        """How many they are."""
        return self.stop - self.start

    def opened(self, before: Sequence[Part] = ()) -> Generation:
        """The items, of whose index no other segments are opened; ``before``: open segments that are not opened again.

        Raises:
            GenerationGoneError: the folder has another generation by now.
            VtsearchError: a damaged index.
        """
        store = Store(self.folder / FILE_NAME)
        contents = store.read()
        self._check(contents.about)
        ends = list(itertools.accumulate(segment.items for segment in contents.segments))
        first, last = bisect.bisect_right(ends, self.start), bisect.bisect_left(ends, self.stop)
        here = contents.segments[first : last + 1] if self.items else []
        try:
            parts = open_segments(self.folder, contents.about, here, before)
        except VtsearchError:
            self._check(store.read().about)
            raise
        skipped = ends[first - 1] if first else 0
        return Generation(contents.about, parts).between(self.start - skipped, self.stop - skipped)

    def cut(self, generation: Generation) -> Generation:
        """The items of an open state of this index.

        Raises:
            GenerationGoneError: the state is of another generation.
        """
        self._check(generation.about)
        return generation.between(self.start, self.stop)

    def _check(self, about: About) -> None:
        if about.next != self.generation:
            raise GenerationGoneError(
                f"{self.folder}: expected generation {self.generation[:12]}, got {about.next[:12]}: "
                "the index has changed; open the view of it anew"
            )


class IndexView(Reading):
    """Consecutive items of an index, or of several: every question of an ``Index``, and no change.

    Made by ``Index.between``. It holds its generation whatever becomes of the folder, until ``close``.
    """

    def __init__(self, generation: Generation, spans: Sequence[Span], path: Path) -> None:
        self._open: Generation | None = generation
        self._spans, self._path = tuple(spans), path

    @classmethod
    def open(cls, spans: Sequence[Span], before: Sequence[Part] = ()) -> Self:
        """The items of some spans, one span after the other; maps their segments and no others, and reads none.

        Args:
            spans: at least one.
            before: open segments, which are not opened again.

        Raises:
            GenerationGoneError: an index that has changed since the span was made.
            VtsearchError: a damaged index; indexes whose codes do not belong together.
        """
        return cls(joined_generation(spans, [span.opened(before) for span in spans]), spans, spans[0].folder)

    @property
    def path(self) -> Path:
        """The folder of the index, or of the first one."""
        return self._path

    @property
    def spans(self) -> tuple[Span, ...]:
        """The items by name."""
        return self._spans

    @property
    def state(self) -> Generation:
        """The open state of these items."""
        return self._generation()

    @property
    def generation(self) -> str:
        """The name of the state that answers; of several indexes all, joined by a plus sign."""
        self._generation()
        return "+".join(span.generation for span in self._spans)

    def close(self) -> None:
        """Forget the open files; arrays that were returned stay valid."""
        self._open = None

    def __enter__(self) -> Self:
        self._generation()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self._generation()
        return type(self).open, (self._spans,)

    def __repr__(self) -> str:
        text = ", ".join(f"{span.folder}[{span.start}:{span.stop}]" for span in self._spans)
        return f"IndexView({text}{'' if self._open is not None else ', closed'})"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("_") and hasattr(Writing, name):
                raise AttributeError(f"{name}: expected an Index, got {self!r}, which cannot be changed")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _generation(self) -> Generation:
        if self._open is None:
            raise VtsearchError(f"{self._path}: this view of an index is closed; open it again")
        return self._open

    def _frozen(self) -> IndexView:
        return self


def joined_generation(spans: Sequence[Span], opened: Sequence[Generation]) -> Generation:
    """The items of some spans as those of one index; ``opened``: the items of each.

    Raises:
        VtsearchError: indexes whose codes do not belong together.
    """
    abouts = {span.folder: each.about for span, each in zip(spans, opened, strict=True)}
    return Generation(joined_about(abouts), [part for each in opened for part in each.parts])


def checked_span(start: Any, stop: Any, items: int) -> tuple[int, int]:
    """The bounds of consecutive items.

    Raises:
        TypeError: bounds that are not ints.
        ValueError: bounds out of range.
    """
    first = whole_number("start", start, 0, items)
    return first, whole_number("stop", stop, first, items)
