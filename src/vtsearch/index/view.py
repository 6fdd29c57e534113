"""Read-only views of consecutive items of one or several indexes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from vtsearch._validate import whole_number
from vtsearch.errors import VtsearchError
from vtsearch.index.generation import Generation
from vtsearch.index.joining import joined_about
from vtsearch.index.opening import open_generation
from vtsearch.index.reading import Reading
from vtsearch.index.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class GenerationGoneError(VtsearchError):
    """An index has changed: its folder no longer has the generation that was asked for."""


class Span(NamedTuple):
    """Consecutive items of one generation of an index, by name: how another process opens them."""

    folder: Path
    start: int
    stop: int
    generation: str

    def __len__(self) -> int:
        return self.stop - self.start

    def cut(self, generation: Generation) -> Generation:
        """The items of an open state of this index.

        Raises:
            GenerationGoneError: the state is of another generation.
        """
        if generation.about.next != self.generation:
            raise GenerationGoneError(
                f"{self.folder}: expected generation {self.generation[:12]}, got {generation.about.next[:12]}: "
                "the index has changed; open the view of it anew"
            )
        return generation.between(self.start, self.stop)


class IndexView(Reading):
    """Consecutive items of an index, or of several: every question of an ``Index``, and no change.

    Made by ``Index.between``. It holds its generation whatever becomes of the folder, until ``close``.
    """

    def __init__(self, generation: Generation, spans: Sequence[Span], path: Path) -> None:
        self._open: Generation | None = generation
        self._spans, self._path = tuple(spans), path

    @classmethod
    def open(cls, spans: Sequence[Span], before: Mapping[Path, Generation] | None = None) -> Self:
        """The items of some spans, one span after the other; maps their codes and reads none.

        Args:
            spans: at least one.
            before: open states of their indexes by folder, whose files are not opened again.

        Raises:
            GenerationGoneError: an index that has changed since the span was made.
            VtsearchError: a damaged index; indexes whose codes do not belong together.
        """
        known = dict(before or {})
        opened = {span.folder: open_generation(span.folder, known.get(span.folder)) for span in spans}
        return cls.joined(opened, spans)

    @classmethod
    def joined(cls, opened: Mapping[Path, Generation], spans: Sequence[Span]) -> Self:
        """The items of some spans of open states, by folder.

        Raises:
            GenerationGoneError: a state of another generation than its span.
            VtsearchError: indexes whose codes do not belong together.
        """
        parts = [part for span in spans for part in span.cut(opened[span.folder]).parts]
        about = joined_about({span.folder: opened[span.folder].about for span in spans})
        return cls(Generation(about, parts), spans, spans[0].folder)

    @property
    def path(self) -> Path:
        """The folder of the index, or of the first one."""
        return self._path

    @property
    def spans(self) -> tuple[Span, ...]:
        """The items by name."""
        return self._spans

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


def checked_span(start: Any, stop: Any, items: int) -> tuple[int, int]:
    """The bounds of consecutive items.

    Raises:
        TypeError: bounds that are not ints.
        ValueError: bounds out of range.
    """
    first = whole_number("start", start, 0, items)
    return first, whole_number("stop", stop, first, items)
