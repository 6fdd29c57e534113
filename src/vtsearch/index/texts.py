"""Many texts in one array of bytes, with the end of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_COPIED = 2**16
"""Texts that are copied at a time."""
_FEW = 64
"""Texts that are cut out one by one: numpy's calls take longer."""


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

    def cut(self, rows: NDArray[np.int64] | None, errors: str) -> list[str] | None:
        """Some texts, or all of them, decoded from UTF-8; None if they do not lie in the content.

        Raises:
            UnicodeDecodeError: texts that are not UTF-8, unless ``errors`` passes over that.
        """
        if rows is not None and len(rows) <= _FEW:
            return self._cut_few(rows.tolist(), errors)
        texts: list[str] = []
        count = len(self.ends) if rows is None else len(rows)
        for first in range(0, count, _COPIED):
            block = np.arange(first, min(first + _COPIED, count)) if rows is None else rows[first : first + _COPIED]
            begins, ends = self._begins(block), self.ends[block]
            if not (begins.min() >= 0 and (begins <= ends).all() and ends.max() <= len(self.content)):
                return None
            if rows is None:  # as they lie in the content
                texts += _decoded(self.content[begins[0] : ends[-1]].tobytes(), ends - begins[0], errors)
            else:
                copied = self.of_rows(block)
                texts += _decoded(copied.content.tobytes(), copied.ends, errors)
        return texts

    def _cut_few(self, rows: Sequence[int], errors: str) -> list[str] | None:
        texts, content, size = [], self.content.data, len(self.content)
        for row in rows:
            begin, end = int(self.ends[row - 1]) if row else 0, int(self.ends[row])
            if not 0 <= begin <= end <= size:
                return None
            texts.append(str(content[begin:end], "utf-8", errors))
        return texts

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


def _decoded(content: bytes, ends: NDArray[np.int64], errors: str) -> list[str]:
    """Texts that lie one after the other: cut out of one string where each character is a byte."""
    bounds = zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
    if content.isascii():
        text = content.decode("ascii")
        return [text[begin:end] for begin, end in bounds]
    return [str(content[begin:end], "utf-8", errors) for begin, end in bounds]
