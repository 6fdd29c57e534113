"""Ids, labels and metadata of the items of one segment: their columns in a file, and look-up of ids.

The columns: the end of each id in the column of ids; a sorted table to find an id (its CRC-32 in the upper half, its
row in the lower); the end of each metadata text; labels; all ids; all metadata texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch.errors import VtsearchError
from vtsearch.index.arrays import Layout
from vtsearch.index.ids import bounds_of, rows_of, sums_of, table_of
from vtsearch.index.labels import pack_labels
from vtsearch.index.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from vtsearch.index.arrays import ArrayFile
    from vtsearch.index.ids import Ids
    from vtsearch.index.labels import LabelForm, Labels


def checked_metadata(metadata: Sequence[Mapping[str, object]] | None, count: int) -> list[str] | None:
    """One JSON text per item, empty where there is nothing to keep; None where no item has anything."""
    if metadata is None:
        return None
    rows = list(metadata)
    if len(rows) != count:
        raise ValueError(f"metadata: expected {count} mappings, one per code, got {len(rows)}")
    texts = [_json(row) for row in rows]
    return texts if any(texts) else None


def _json(row: object) -> str:
    if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
        raise TypeError(f"metadata: expected mappings with strings as names, got {row!r}")
    try:
        return json.dumps(dict(row)) if row else ""
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"metadata: expected what JSON can keep, got {error}") from error


class Columns(NamedTuple):
    """What a file of items holds, in a form that can be joined."""

    ids: Texts
    sums: NDArray[np.uint64]
    """The CRC-32 of each id."""
    metadata: Texts
    labels: NDArray[Any]
    """As ``pack_labels`` returns them."""

    @classmethod
    def of(cls, ids: Ids, labels: Labels | None, metadata: Sequence[str] | None) -> Columns:
        """Columns of new items."""
        texts = [b""] * len(ids.texts) if metadata is None else [text.encode("ascii") for text in metadata]
        return cls(Texts.of(ids.texts), ids.sums, Texts.of(texts), pack_labels(labels))

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """Those of several segments, one after the other."""
        ids, sums, metadata, labels = zip(*parts, strict=True)
        return cls(Texts.joined(ids), np.concatenate(sums), Texts.joined(metadata), np.concatenate(labels))

    def arrays(self) -> list[NDArray[Any]]:
        """The arrays of the file, in the order of ``item_layouts``."""
        metadata_ends = self.metadata.ends if len(self.metadata.content) else self.metadata.ends[:0]
        table = table_of(self.sums)
        return [self.ids.ends, table, metadata_ends, self.labels, self.ids.content, self.metadata.content]


def item_layouts(items: int, id_bytes: int, metadata_bytes: int, form: LabelForm) -> list[Layout]:
    """Layouts of the columns of a segment; a segment without metadata has empty columns for it."""
    return [
        Layout("<i8", (items,)),
        Layout("<u8", (items,)),
        Layout("<i8", (items if metadata_bytes else 0,)),
        form.layout(items),
        Layout("|u1", (id_bytes,)),
        Layout("|u1", (metadata_bytes,)),
    ]


class Items:
    """The items of one segment, in a file that is mapped; ``kept``: their rows in it, if some have been removed."""

    def __init__(self, file: ArrayFile, kept: NDArray[np.uint32] | None = None) -> None:
        self._file, self._kept = file, kept
        columns: list[NDArray[Any]] = [np.asarray(array) for array in file.arrays]
        id_ends, self._table, metadata_ends, self._labels, ids, metadata = columns
        self._ids, self._metadata = Texts(id_ends, ids), Texts(metadata_ends, metadata)

    def __len__(self) -> int:
        return len(self._table) if self._kept is None else len(self._kept)

    def ids(self) -> list[str]:
        """All ids."""
        return self._all(self._ids)

    def ids_at(self, positions: NDArray[np.int64]) -> list[str]:
        """The ids of some items."""
        rows = positions if self._kept is None else self._kept[positions].astype(np.int64)
        return self._cut(self._ids, self._ids.bounds(rows))

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

    def metadata(self) -> list[dict[str, object]]:
        """The metadata of all items."""
        if not len(self._metadata.ends):
            return [{} for _ in range(len(self))]
        try:
            return [json.loads(text) if text else {} for text in self._all(self._metadata)]
        except ValueError as error:
            raise self._damaged() from error

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of each item in the file."""
        return np.arange(len(self)) if self._kept is None else self._kept.astype(np.int64)

    def without(self, positions: NDArray[np.int64]) -> Items:
        """All items but some."""
        return Items(self._file, np.delete(self.rows, positions).astype(np.uint32))

    def columns(self) -> Columns:
        """The columns of these items alone."""
        ids, sums, metadata = self._ids, sums_of(self._table), self._metadata
        if not len(metadata.ends):
            metadata = metadata._replace(ends=np.zeros(len(self._table), dtype=np.int64))
        if self._kept is not None:
            rows = self.rows
            ids, sums, metadata = ids.of_rows(rows), sums[rows], metadata.of_rows(rows)
        return Columns(ids, sums, metadata, self.labels)

    def _positions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions of rows, -1 for those of removed items."""
        if self._kept is None:
            return rows
        places = np.minimum(np.searchsorted(self._kept, rows.astype(np.uint32)), len(self._kept) - 1)
        return np.where(self._kept[places] == rows, places, -1)

    def _all(self, texts: Texts) -> list[str]:
        return self._cut(texts, pairwise([0, *texts.ends.tolist()]) if self._kept is None else texts.bounds(self.rows))

    def _cut(self, texts: Texts, bounds: Iterable[tuple[int, int]]) -> list[str]:
        cut, content, size = [], texts.content.data, len(texts.content)
        try:
            for start, end in bounds:
                if not 0 <= start <= end <= size:
                    raise self._damaged()
                cut.append(str(content[start:end], "utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise self._damaged() from error
        return cut

    def _damaged(self) -> VtsearchError:
        path = self._file.path
        return VtsearchError(f"{path}: expected the ids and metadata of {len(self)} items, got a damaged file")
