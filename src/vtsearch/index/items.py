"""Ids, labels and metadata of the items of one segment: their columns in two files, and look-up of ids.

The columns of the file of items: the end of each id in the column of ids; a sorted table to find an id (its CRC-32 in
the upper half, its row in the lower); labels; all ids.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch.errors import VtsearchError
from vtsearch.index.arrays import Layout
from vtsearch.index.ids import bounds_of, rows_of, sums_of, table_of
from vtsearch.index.labels import label_values, pack_labels
from vtsearch.index.metadata import OWN, Metadata, joined_types
from vtsearch.index.metadata_file import Append, MetadataFile, transaction
from vtsearch.index.metadata_table import insert
from vtsearch.index.texts import Texts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from vtsearch.index.arrays import ArrayFile
    from vtsearch.index.ids import Ids
    from vtsearch.index.labels import LabelForm, Labels
    from vtsearch.index.metadata import Type, Value
    from vtsearch.index.where import Where


class Columns(NamedTuple):
    """What a file of items and one of metadata hold, in a form that can be joined."""

    ids: Texts
    sums: NDArray[np.uint64]
    """The CRC-32 of each id."""
    labels: NDArray[Any]
    """As ``pack_labels`` returns them."""
    types: Mapping[str, Type]
    """Columns of metadata."""
    append: Append
    """Appends the metadata to a table."""

    @classmethod
    def of(cls, ids: Ids, labels: Labels | None, metadata: Metadata) -> Columns:
        """Columns of new items."""
        packed = pack_labels(labels)
        table = metadata.of_items(map(text_of, ids.texts), label_values(packed, len(ids.texts)))
        return cls(Texts.of(ids.texts), ids.sums, packed, metadata.types, _appending(table))

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """Those of several segments, one after the other."""
        ids, sums, labels, types, appends = zip(*parts, strict=True)

        def append(db: sqlite3.Connection, names: Sequence[str]) -> None:
            for each in appends:
                each(db, names)

        return cls(Texts.joined(ids), np.concatenate(sums), np.concatenate(labels), joined_types(*types), append)

    def arrays(self) -> list[NDArray[Any]]:
        """The arrays of the file of items, in the order of ``item_layouts``."""
        return [self.ids.ends, table_of(self.sums), self.labels, self.ids.content]


def _appending(table: Metadata) -> Append:
    """What appends the rows of columns in memory to a table."""

    def append(db: sqlite3.Connection, names: Sequence[str]) -> None:
        with transaction(db):
            insert(db, names, table.rows(names))

    return append


def item_layouts(items: int, id_bytes: int, form: LabelForm) -> list[Layout]:
    """Layouts of the columns of a file of items."""
    return [Layout("<i8", (items,)), Layout("<u8", (items,)), form.layout(items), Layout("|u1", (id_bytes,))]


def text_of(id_text: bytes) -> str:
    """An id as a text of SQL, where bytes that are not UTF-8 are replaced."""
    return id_text.decode("utf-8", "replace")


class Items:
    """The items of one segment, in files that are mapped; ``kept``: their rows in these, if some have been removed."""

    def __init__(self, file: ArrayFile, metadata: MetadataFile | None, kept: NDArray[np.uint32] | None = None) -> None:
        self._file, self._metadata, self._kept = file, metadata, kept
        columns: list[NDArray[Any]] = [np.asarray(array) for array in file.arrays]
        id_ends, self._table, self._labels, ids = columns
        self._ids = Texts(id_ends, ids)

    def __len__(self) -> int:
        return len(self._table) if self._kept is None else len(self._kept)

    def ids(self) -> list[str]:
        """All ids."""
        return self._all_ids()

    def ids_at(self, positions: NDArray[np.int64]) -> list[str]:
        """The ids of some items."""
        return self._cut(self._rows_at(positions))

    def positions_of(self, ids: Ids) -> NDArray[np.int64]:
        """The position of each of some ids, -1 for one that is not among these items."""
        found = np.full(len(ids.texts), -1, dtype=np.int64)
        first, stop = bounds_of(self._table, ids.sums)
        while len(near := np.flatnonzero(first < stop)):  # once, but for different ids of one sum
            rows = rows_of(self._table[first[near]])
            if rows.max() >= len(self._table):
                raise self._damaged()
            places, bounds = self._positions(rows), self._ids.bounds(rows)
            for n, place, (begin, end) in zip(near.tolist(), places.tolist(), bounds, strict=True):
                if place >= 0 and ids.texts[n] == self._ids.content[begin:end].tobytes():
                    found[n] = place
            first[near] += 1
        return found

    @property
    def labels(self) -> NDArray[Any]:
        """As ``pack_labels`` returns them."""
        return self._labels if self._kept is None or not len(self._labels) else self._labels[self._kept]

    @property
    def types(self) -> Mapping[str, Type]:
        """Columns of metadata."""
        return {} if self._metadata is None else self._metadata.types

    @property
    def indexed(self) -> frozenset[str]:
        """Columns that have a B-tree."""
        return frozenset() if self._metadata is None else self._metadata.indexed

    def values(self, names: Sequence[str]) -> Iterator[tuple[Value, ...]]:
        """Some columns of all items, id and label among them."""
        if self._metadata is None:
            return self._own().rows(names)
        rows = self._metadata.rows(names)
        return rows if self._kept is None else itertools.compress(rows, self._is_kept().tolist())

    def values_at(self, names: Sequence[str], positions: NDArray[np.int64]) -> list[tuple[Value, ...]]:
        """Some columns of metadata of some items."""
        if self._metadata is None:
            return [(None,) * len(names)] * len(positions)
        return self._metadata.at(names, self._rows_at(positions).tolist())

    def matching(self, where: Where) -> NDArray[np.bool_]:
        """Whether a condition holds for each item.

        Raises:
            ValueError, VtsearchError: as ``Where.rows``.
        """
        rows = (self._metadata or self._own_table).matching(where)
        matching = np.zeros(len(self._table), dtype=np.bool_)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(matching):
            raise self._damaged()
        matching[rows] = True
        return matching if self._kept is None else matching[self._kept]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of each item in the file."""
        return np.arange(len(self)) if self._kept is None else self._kept.astype(np.int64)

    def without(self, positions: NDArray[np.int64]) -> Items:
        """All items but some."""
        return Items(self._file, self._metadata, np.delete(self.rows, positions).astype(np.uint32))

    def between(self, start: int, stop: int) -> Items:
        """Some consecutive items."""
        kept = np.arange(start, stop, dtype=np.uint32) if self._kept is None else self._kept[start:stop]
        return Items(self._file, self._metadata, kept)

    def columns(self) -> Columns:
        """The columns of these items alone."""
        ids, sums = self._ids, sums_of(self._table)
        if self._kept is not None:
            ids, sums = ids.of_rows(self.rows), sums[self.rows]
        return Columns(ids, sums, self.labels, self.types, self._append)

    def _append(self, db: sqlite3.Connection, names: Sequence[str]) -> None:
        """Append some columns of all items to a table of metadata."""
        if self._metadata is None:
            _appending(self._own())(db, names)
        else:
            self._metadata.copy_to(db, names, None if self._kept is None else self.rows)

    @cached_property
    def _own_table(self) -> MetadataFile:
        """Ids and labels of all rows, for segments without a file of metadata: a second on two million."""
        return MetadataFile.in_memory(Items(self._file, None).values(list(OWN)))

    def _own(self) -> Metadata:
        ids = self._all_ids("replace")
        return Metadata(len(self), {}, {}).of_items(ids, label_values(self.labels, len(self)))

    def _is_kept(self) -> NDArray[np.bool_]:
        kept = np.zeros(len(self._table), dtype=np.bool_)
        kept[self.rows] = True
        return kept

    def _rows_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of some items; those of the others are not looked at."""
        return positions if self._kept is None else self._kept[positions].astype(np.int64)

    def _positions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions of rows, -1 for those of removed items."""
        if self._kept is None:
            return rows
        places = np.minimum(np.searchsorted(self._kept, rows.astype(np.uint32)), len(self._kept) - 1)
        return np.where(self._kept[places] == rows, places, -1)

    def _all_ids(self, errors: str = "surrogatepass") -> list[str]:
        return self._cut(None if self._kept is None else self.rows, errors)

    def _cut(self, rows: NDArray[np.int64] | None, errors: str = "surrogatepass") -> list[str]:
        """The ids in some rows of the file, or in all."""
        try:
            found = self._ids.cut(rows, errors)
        except UnicodeDecodeError as error:
            raise self._damaged() from error
        if found is None:
            raise self._damaged()
        return found

    def _damaged(self) -> VtsearchError:
        path = self._file.path
        return VtsearchError(f"{path}: expected the ids of {len(self)} items, got a damaged file")
