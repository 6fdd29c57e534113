"""Items in ranges: an index is read, and a new one filled, without all ids and metadata in memory at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from vtsearch.index import Index

ROWS = 2**16
"""Items of a range."""


class Items(NamedTuple):
    """Some items, one after the other."""

    codes: NDArray[np.uint8]
    """(n, bytes), packed."""
    ids: Sequence[str] | None = None
    """n strings; None for running numbers."""
    labels: NDArray[Any] | None = None
    """int64 (n,), or uint8 0/1 (n, classes); None for items without labels."""
    metadata: Mapping[str, Sequence[Any]] = {}
    """Columns by name, n values each."""

    def ranges(self) -> Iterator[Items]:
        """These items in ranges of ``ROWS``; at least one, which may be empty."""
        for start in range(0, max(len(self.codes), 1), ROWS):
            rows = slice(start, start + ROWS)
            yield Items(
                self.codes[rows],
                None if self.ids is None else self.ids[rows],
                None if self.labels is None else self.labels[rows],
                {name: values[rows] for name, values in self.metadata.items()},
            )

    @classmethod
    def joined(cls, width: int, parts: Iterable[Items]) -> Items:
        """Items of several ranges in one.

        Args:
            width: bytes per code, for no items at all.
            parts: ranges, all of which have ids, labels and the same metadata, or none.
        """
        kept = [part for part in parts if len(part.codes)]
        if not kept:
            return cls(np.zeros((0, width), dtype=np.uint8))
        return cls(
            np.concatenate([part.codes for part in kept]),
            None if kept[0].ids is None else [name for part in kept for name in part.ids or ()],
            None if kept[0].labels is None else np.concatenate([part.labels for part in kept]),
            {name: [value for part in kept for value in part.metadata[name]] for name in kept[0].metadata},
        )


def items_of(index: Index) -> Iterator[Items]:
    """The items of an index in ranges, by position; nothing may change the index meanwhile."""
    labels, columns = index.labels(), index.columns()
    for start, codes in _codes_of(index):
        rows = range(start, start + len(codes))
        yield Items(
            codes,
            _ids_at(index, rows),
            None if labels is None else labels[rows.start : rows.stop],
            index.metadata_at(np.arange(rows.start, rows.stop)) if columns else {},
        )


def codes_of(index: Index) -> Iterator[NDArray[np.uint8]]:
    """The codes of an index in ranges, by position."""
    return (codes for _, codes in _codes_of(index))


def ids_of(index: Index) -> Iterator[list[str]]:
    """The ids of an index in ranges, by position."""
    return (_ids_at(index, range(start, start + len(codes))) for start, codes in _codes_of(index))


def has_given_ids(index: Index) -> bool:
    """Whether the ids are more than positions: an index without given ids has running numbers."""
    start = 0
    for names in ids_of(index):
        if names != list(map(str, range(start, start + len(names)))):
            return True
        start += len(names)
    return False


def _codes_of(index: Index) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """First position and codes of each range."""
    start = 0
    for part in index.database().parts:
        for first in range(0, len(part), ROWS):
            codes = np.asarray(part[first : first + ROWS])
            yield start, codes
            start += len(codes)


def _ids_at(index: Index, rows: range) -> list[str]:
    names = index.ids_at(rows)
    return [names[position] for position in rows]
