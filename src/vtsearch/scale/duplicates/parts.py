"""Consecutive codes that a task opens where it runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vtsearch._database import Database
from vtsearch.duplicates.items import unmasked
from vtsearch.index import IndexView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch._validate import Codes
    from vtsearch.index.view import Span

_SAMPLED = 4096


class Part(Protocol):
    """Some consecutive codes; picklable, so that a task may open them on another machine."""

    @property
    def identity(self) -> str:
        """What is the same for the same codes only: a work folder does not take others."""

    def __len__(self) -> int:
        """The number of codes."""

    def between(self, start: int, stop: int) -> Part:
        """The codes start .. stop - 1."""

    def codes(self) -> Codes:
        """(n, bytes): read or mapped now."""


@dataclass(frozen=True, eq=False)
class ArrayPart:
    """An array: it travels with the task, each code once."""

    array: Codes
    """(n, bytes) uint8, C-contiguous."""

    @property
    def identity(self) -> str:
        """A hash of some of the codes."""
        step = max(len(self.array) // _SAMPLED, 1)
        return hashlib.sha256(self.array[::step].tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.array)

    def between(self, start: int, stop: int) -> Self:
        """A view."""
        return type(self)(self.array[start:stop])

    def codes(self) -> Codes:
        """The array."""
        return self.array


@dataclass(frozen=True)
class SpanPart:
    """Items of an index in a folder that every task can read."""

    span: Span

    @property
    def identity(self) -> str:
        """The generation of the index, and which items of it."""
        return f"{self.span.generation}:{self.span.start}-{self.span.stop}"

    def __len__(self) -> int:
        return self.span.items

    def between(self, start: int, stop: int) -> Self:
        """Of the same generation."""
        return type(self)(self.span._replace(start=self.span.start + start, stop=self.span.start + stop))

    def codes(self) -> Codes:
        """Mapped, or joined where they are of several segments.

        Raises:
            GenerationGoneError: the index has changed since.
            VtsearchError: a damaged index.
        """
        with IndexView.open([self.span]) as view:
            arrays = view.state.codes()
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def parts_of(codes: NDArray[Any] | Database | Sequence[Part]) -> list[Part]:
    """Arrays as parts; parts as they are.

    Raises:
        TypeError: codes that are not uint8; a sequence of others than parts.
        ValueError: codes of another shape, a database with a mask, no parts.
    """
    if not isinstance(codes, (list, tuple)):
        return [ArrayPart(array) for array in unmasked("codes", codes).parts]  # type: ignore[arg-type]
    if not codes:
        raise ValueError("codes: expected at least one part, got none")
    for number, part in enumerate(codes):
        if not hasattr(part, "identity") or not hasattr(part, "between"):
            raise TypeError(f"codes[{number}]: expected a part, such as ArrayPart, got {type(part).__name__}")
    return list(codes)
