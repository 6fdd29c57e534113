"""Segments: immutable files of codes and of items, written once, mapped for ever."""

from __future__ import annotations

from dataclasses import dataclass
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

CODES_FOLDER = "codes"
ITEMS_FOLDER = "items"

MOST_MAPPED = 256
"""Files that one index maps at most; each holds a file descriptor, of which a process often has 1,024."""


@dataclass(frozen=True)
class Segment:
    """The entry of two files in ``index.sqlite``: ``codes/NAME.npy`` and ``items/NAME.npy``."""

    name: str
    items: int
    id_bytes: int
    metadata_bytes: int
    """0 for items without metadata."""
    codes_sha256: str
    """Of the whole file."""
    items_sha256: str

    @property
    def file(self) -> str:
        """Name of both files in their folders."""
        return f"{self.name}.npy"

    def layouts(self, about: About) -> dict[str, list[Layout]]:
        """The arrays of both files by their folder."""
        items = item_layouts(self.items, self.id_bytes, self.metadata_bytes, about.labels)
        return {CODES_FOLDER: [Layout("|u1", (self.items, about.width))], ITEMS_FOLDER: items}


class Part:
    """An open segment."""

    def __init__(self, segment: Segment, codes: ArrayFile, items: ArrayFile) -> None:
        self.segment = segment
        self.codes = cast("NDArray[np.uint8]", codes.arrays[0])
        """(items, bytes)"""
        self.items = Items(items)
        self._codes_file, self._items_file = codes, items

    def __len__(self) -> int:
        return self.segment.items

    def verify(self) -> None:
        """Read both files and compare their checksums.

        Raises:
            VtsearchError: a file whose bytes are not those that were written.
        """
        self._codes_file.verify(self.segment.codes_sha256)
        self._items_file.verify(self.segment.items_sha256)


def write_segment(folder: Path, name: str, codes: NDArray[np.uint8], columns: Sequence[NDArray[Any]]) -> Segment:
    """Write codes (n, bytes) and columns of items under a name, on disk to stay before this returns.

    Raises:
        OSError: a disk that is full or refuses; names the file, and no file stays.
    """
    sums: dict[str, str] = {}
    try:
        for subfolder, arrays in ((CODES_FOLDER, [codes]), (ITEMS_FOLDER, columns)):
            if not (folder / subfolder).is_dir():
                (folder / subfolder).mkdir(exist_ok=True)
                sync_folder(folder)
            sums[subfolder] = write_arrays(folder / subfolder / f"{name}.npy", arrays)
            sync_folder(folder / subfolder)
    except OSError:
        (folder / CODES_FOLDER / f"{name}.npy").unlink(missing_ok=True)
        raise
    ids, metadata = columns[-2:]
    return Segment(name, len(codes), len(ids), len(metadata), sums[CODES_FOLDER], sums[ITEMS_FOLDER])


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
            open_arrays(folder / name / segment.file, layouts, mapped=(segment, name) in mapped)
            for name, layouts in segment.layouts(about).items()
            if segment not in known
        ]
        parts.append(known.get(segment) or Part(segment, *files))
    return parts
