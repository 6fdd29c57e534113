"""Segments: immutable files of codes and of items, written once, mapped for ever."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vtsearch._atomic_io import sync_folder
from vtsearch.index.arrays import HEADER_BYTES, Layout, open_arrays, write_arrays
from vtsearch.index.items import Items, item_layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.index.about import About
    from vtsearch.index.arrays import ArrayFile
    from vtsearch.index.items import Columns

CODES_FOLDER = "codes"
ITEMS_FOLDER = "items"

MOST_MAPPED = 256
"""Files that one index maps at most; each holds a file descriptor, of which a process often has 1,024."""


@dataclass(frozen=True)
class Segment:
    """The entry of two files in ``index.sqlite``: ``codes/CODES.npy`` and ``items/NAME.npy``.

    The file of items is never written again. One of codes has those of the items that are left, and, once some have
    been removed, their rows in the file of items.
    """

    name: str
    codes: str
    items: int
    rows: int
    """Items in the file of items, those that have been removed included."""
    id_bytes: int
    metadata_bytes: int
    """0 for items without metadata."""
    codes_sha256: str
    """Of the whole file."""
    items_sha256: str

    @property
    def files(self) -> dict[str, str]:
        """Both files by their folder."""
        return {CODES_FOLDER: f"{self.codes}.npy", ITEMS_FOLDER: f"{self.name}.npy"}

    def layouts(self, about: About) -> dict[str, list[Layout]]:
        """The arrays of both files by their folder."""
        kept = [Layout("<u4", (self.items,))] if self.items < self.rows else []
        return {
            CODES_FOLDER: [Layout("|u1", (self.items, about.width)), *kept],
            ITEMS_FOLDER: item_layouts(self.rows, self.id_bytes, self.metadata_bytes, about.labels),
        }


class Part:
    """An open segment."""

    def __init__(self, segment: Segment, codes: ArrayFile, items: ArrayFile) -> None:
        self.segment = segment
        self.codes = cast("NDArray[np.uint8]", codes.arrays[0])
        """(items, bytes)"""
        self.items = Items(items, *cast("list[NDArray[np.uint32]]", codes.arrays[1:]))
        self._codes_file, self._items_file = codes, items

    def __len__(self) -> int:
        return self.segment.items

    def without(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.uint8], Items]:
        """Codes and items without some, given by their positions."""
        kept = np.ones(len(self), dtype=np.bool_)
        kept[positions] = False
        return self.codes[kept], self.items.without(positions)

    def verify(self, folders: Sequence[str] = (CODES_FOLDER, ITEMS_FOLDER)) -> None:
        """Read the files in these folders and compare their checksums.

        Raises:
            VtsearchError: a file whose bytes are not those that were written.
        """
        if CODES_FOLDER in folders:
            self._codes_file.verify(self.segment.codes_sha256)
        if ITEMS_FOLDER in folders:
            self._items_file.verify(self.segment.items_sha256)


def write_segment(folder: Path, name: str, codes: NDArray[np.uint8], columns: Columns) -> Segment:
    """Write codes (n, bytes) and items under a name, on disk to stay before this returns.

    Raises:
        OSError: a disk that is full or refuses; names the file. The file of codes may stay.
    """
    arrays = columns.arrays()
    codes_sha256 = _write(folder, CODES_FOLDER, name, [codes])
    items_sha256 = _write(folder, ITEMS_FOLDER, name, arrays)
    ids, metadata = arrays[-2:]
    return Segment(name, name, len(codes), len(codes), len(ids), len(metadata), codes_sha256, items_sha256)


def write_codes(folder: Path, name: str, segment: Segment, codes: NDArray[np.uint8], items: Items) -> Segment:
    """Write the codes of the items that are left of a segment, and which they are; its file of items stays.

    Raises:
        OSError: a disk that is full or refuses; names the file, and no file stays.
    """
    codes_sha256 = _write(folder, CODES_FOLDER, name, [codes, items.rows.astype(np.uint32)])
    return replace(segment, codes=name, items=len(codes), codes_sha256=codes_sha256)


def _write(folder: Path, subfolder: str, name: str, arrays: Sequence[NDArray[Any]]) -> str:
    if not (folder / subfolder).is_dir():
        (folder / subfolder).mkdir(exist_ok=True)
        sync_folder(folder)
    checksum = write_arrays(folder / subfolder / f"{name}.npy", arrays)
    sync_folder(folder / subfolder)
    return checksum


def open_segments(folder: Path, about: About, segments: Sequence[Segment], opened: Sequence[Part] = ()) -> list[Part]:
    """Segments of an index, those that are not yet open mapped: the largest ``MOST_MAPPED`` files, others read.

    Raises:
        VtsearchError: a file that is missing, truncated, or other than the index says.
    """
    known = {part.segment: part for part in opened}
    sizes = {
        (segment, name): sum(HEADER_BYTES + layout.nbytes for layout in layouts)
        for segment in segments
        for name, layouts in segment.layouts(about).items()
    }
    mapped = set(sorted(sizes, key=sizes.__getitem__, reverse=True)[:MOST_MAPPED])
    parts = []
    for segment in segments:
        files = [
            open_arrays(folder / name / segment.files[name], layouts, mapped=(segment, name) in mapped)
            for name, layouts in segment.layouts(about).items()
            if segment not in known
        ]
        parts.append(known.get(segment) or Part(segment, *files))
    return parts
