"""Many texts in one array of bytes, with the end of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_COPIED = 2**16
"""Texts that are copied at a time."""


class Texts(NamedTuple):
    """Text i is ``content[ends[i - 1]:ends[i]]``."""

    ends: NDArray[np.int64]
    content: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Texts:
        """These texts, one after the other."""
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), dtype=np.int64)
        return cls(ends, np.frombuffer(b"".join(texts), dtype=np.uint8))

    @classmethod
    def joined(cls, parts: Sequence[Texts]) -> Texts:
        """The texts of several arrays, one after the other."""
        before = np.cumsum([0, *(int(part.ends[-1]) if len(part.ends) else 0 for part in parts)]).tolist()
        ends = [part.ends + first for part, first in zip(parts, before, strict=False)]
        return cls(np.concatenate(ends), np.concatenate([part.content for part in parts]))

    def bounds(self, rows: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Begin and end of some texts."""
        return list(zip(self._begins(rows).tolist(), self.ends[rows].tolist(), strict=True))

    def of_rows(self, rows: NDArray[np.int64]) -> Texts:
        """A copy of some texts."""
        begins, lengths = self._begins(rows), self.ends[rows] - self._begins(rows)
        ends = np.cumsum(lengths)
        copied = [np.empty(0, dtype=np.uint8)]
        for first in range(0, len(rows), _COPIED):
            block = slice(first, first + _COPIED)
            shifts = begins[block] - (ends[block] - lengths[block])
            first_byte = int(ends[first] - lengths[first])
            places = np.repeat(shifts, lengths[block])
            copied.append(self.content[places + np.arange(first_byte, first_byte + len(places))])
        return Texts(ends, np.concatenate(copied))

    def _begins(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(rows > 0, self.ends[rows - 1], 0)
