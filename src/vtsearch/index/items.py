"""Ids, labels and metadata of the items of one segment: validation, their columns in a file, and look-up of ids.

The columns: the end of each id in the column of ids; a sorted table to find an id (its CRC-32 in the upper half, its
row in the lower); the end of each metadata text; labels; all ids; all metadata texts.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.errors import VtsearchError
from vtsearch.index.arrays import Layout
from vtsearch.index.labels import pack_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from vtsearch.index.arrays import ArrayFile
    from vtsearch.index.labels import LabelForm, Labels

_ROW = 32
"""Bits of a row in the table that finds ids."""


def checked_ids(ids: Sequence[str], count: int) -> list[str]:
    """``count`` different strings."""
    names = [ids] if isinstance(ids, str) else list(ids)
    if len(names) != count:
        raise ValueError(f"ids: expected {count} strings, one per code, got {len(names)}")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"ids: expected strings, got {type(name).__name__}")
        if name in seen:
            raise ValueError(f"ids: expected different ids, got {name!r} twice")
        seen.add(name)
    return [str(name) for name in names]


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


def item_columns(names: Iterable[str], labels: Labels | None, texts: Sequence[str] | None) -> list[NDArray[Any]]:
    """The columns of items, in the order of ``item_layouts``."""
    ids = [_encoded(name) for name in names]
    metadata = [] if texts is None else [text.encode("ascii") for text in texts]
    return [_ends(ids), _table(ids), _ends(metadata), pack_labels(labels), _joined(ids), _joined(metadata)]


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
    """The items of one segment, in a file that is mapped."""

    def __init__(self, file: ArrayFile) -> None:
        self._path = file.path
        columns = [np.asarray(array) for array in file.arrays]
        self._id_ends, self._table, self._metadata_ends, self.labels, self._ids, self._metadata = columns

    def __len__(self) -> int:
        return len(self._table)

    def ids(self) -> list[str]:
        """All ids."""
        return self._texts(self._ids, self._id_ends)

    def ids_at(self, rows: NDArray[np.int64]) -> list[str]:
        """The ids of some rows."""
        ends = self._id_ends
        starts = np.where(rows > 0, ends[rows - 1], 0)
        return self._cut(self._ids.data, zip(starts.tolist(), ends[rows].tolist(), strict=True))

    def metadata(self) -> list[dict[str, object]]:
        """The metadata of all items."""
        if not len(self._metadata_ends):
            return [{} for _ in range(len(self))]
        try:
            return [json.loads(text) if text else {} for text in self._texts(self._metadata, self._metadata_ends)]
        except ValueError as error:
            raise self._damaged() from error

    def row(self, name: str) -> int | None:
        """The row of an id, or None."""
        key = zlib.crc32(_encoded(name)) << _ROW
        first, stop = np.searchsorted(self._table, np.array([key, key | (1 << _ROW) - 1], np.uint64)).tolist()
        rows = (self._table[first : stop + 1] & np.uint64((1 << _ROW) - 1)).astype(np.int64)
        rows = rows[rows < len(self)]
        return next((int(row) for row, known in zip(rows, self.ids_at(rows), strict=True) if known == name), None)

    def known(self, names: Sequence[str], table: NDArray[np.uint64]) -> str | None:
        """One of the names, whose table is given, that is an id of this segment."""
        keys = table >> np.uint64(_ROW) << np.uint64(_ROW)
        found = np.searchsorted(self._table, keys)
        found[found == len(self)] = 0
        near = np.flatnonzero(self._table[found] >> np.uint64(_ROW) == keys >> np.uint64(_ROW))
        rows = (table[near] & np.uint64((1 << _ROW) - 1)).tolist()
        return next((names[row] for row in sorted(rows) if self.row(names[row]) is not None), None)

    def _texts(self, texts: NDArray[Any], ends: NDArray[Any]) -> list[str]:
        return self._cut(texts.data, pairwise([0, *ends.tolist()]))

    def _cut(self, texts: memoryview, bounds: Iterable[tuple[int, int]]) -> list[str]:
        cut, size = [], len(texts)
        try:
            for start, end in bounds:
                if not 0 <= start <= end <= size:
                    raise self._damaged()
                cut.append(str(texts[start:end], "utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise self._damaged() from error
        return cut

    def _damaged(self) -> VtsearchError:
        return VtsearchError(f"{self._path}: expected the ids and metadata of {len(self)} items, got a damaged file")


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")  # names of files may hold bytes that are not UTF-8


def _ends(texts: Sequence[bytes]) -> NDArray[np.int64]:
    return np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), dtype=np.int64)


def _table(ids: Sequence[bytes]) -> NDArray[np.uint64]:
    sums = np.fromiter(map(zlib.crc32, ids), np.uint64, len(ids))
    table = sums << np.uint64(_ROW) | np.arange(len(ids), dtype=np.uint64)
    table.sort()
    return table


def _joined(texts: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(texts), dtype=np.uint8)
