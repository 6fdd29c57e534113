"""Segments: immutable files of codes and of items, written once, mapped for ever."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vtsearch._atomic_io import sync_folder
from vtsearch.index.arrays import Layout, bytes_of, open_arrays, write_arrays
from vtsearch.index.items import Items, item_layouts
from vtsearch.index.metadata import OWN
from vtsearch.index.metadata_file import MetadataFile, write_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from vtsearch.index.about import About
    from vtsearch.index.arrays import ArrayFile
    from vtsearch.index.items import Columns

CODES_FOLDER = "codes"
ITEMS_FOLDER = "items"
METADATA_FOLDER = "metadata"
FOLDERS = CODES_FOLDER, ITEMS_FOLDER, METADATA_FOLDER

MOST_MAPPED = 256
"""Files that one index maps at most; each holds a file descriptor, of which a process often has 1,024."""


def file_name(folder: str, name: str) -> str:
    """The file of a name in one of the folders."""
    return f"{name}.sqlite" if folder == METADATA_FOLDER else f"{name}.npy"


@dataclass(frozen=True)
class Segment:
    """The entry of its files in ``index.sqlite``: ``codes/CODES.npy``, ``items/NAME.npy``, ``metadata/NAME.sqlite``.

    Those of items and metadata are never written again. One of codes has those of the items that are left, and, once
    some have been removed, their rows in the file of items.
    """

    name: str
    codes: str
    items: int
    rows: int
    """Items in the file of items, those that have been removed included."""
    id_bytes: int
    metadata_bytes: int
    """Of the file of metadata; 0 without one."""
    codes_sha256: str
    """Of the whole file."""
    items_sha256: str
    metadata_sha256: str
    """Empty without a file of metadata."""

    @property
    def files(self) -> dict[str, str]:
        """The names of its files by their folder."""
        names = {CODES_FOLDER: self.codes, ITEMS_FOLDER: self.name, METADATA_FOLDER: self.name}
        folders = FOLDERS if self.metadata_bytes else FOLDERS[:2]
        return {folder: file_name(folder, names[folder]) for folder in folders}

    def layouts(self, about: About) -> dict[str, list[Layout]]:
        """The arrays of the files of codes and items by their folder."""
        kept = [Layout("<u4", (self.items,))] if self.items < self.rows else []
        return {
            CODES_FOLDER: [Layout("|u1", (self.items, about.width)), *kept],
            ITEMS_FOLDER: item_layouts(self.rows, self.id_bytes, about.labels),
        }

    def sizes(self, about: About) -> dict[str, int]:
        """The bytes of all files by their folder."""
        sizes = {folder: bytes_of(layouts) for folder, layouts in self.layouts(about).items()}
        return {**sizes, METADATA_FOLDER: self.metadata_bytes} if self.metadata_bytes else sizes


class Part:
    """An open segment."""

    def __init__(self, segment: Segment, codes: ArrayFile, items: ArrayFile, metadata: MetadataFile | None) -> None:
        self.segment = segment
        self.codes = cast("NDArray[np.uint8]", codes.arrays[0])
        """(items, bytes)"""
        self.items = Items(items, metadata, *cast("list[NDArray[np.uint32]]", codes.arrays[1:]))
        self._codes_file, self._items_file, self._metadata_file = codes, items, metadata

    def __len__(self) -> int:
        return self.segment.items

    def without(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.uint8], Items]:
        """Codes and items without some, given by their positions."""
        kept = np.ones(len(self), dtype=np.bool_)
        kept[positions] = False
        return self.codes[kept], self.items.without(positions)

    def verify(self, folders: Sequence[str] = FOLDERS) -> None:
        """Read the files in these folders and compare their checksums.

        Raises:
            VtsearchError: a file whose bytes are not those that were written.
        """
        if CODES_FOLDER in folders:
            self._codes_file.verify(self.segment.codes_sha256)
        if ITEMS_FOLDER in folders:
            self._items_file.verify(self.segment.items_sha256)
        if METADATA_FOLDER in folders and self._metadata_file is not None:
            self._metadata_file.verify(self.segment.metadata_sha256)


def write_segment(
    folder: Path, name: str, codes: NDArray[np.uint8], columns: Columns, indexed: Sequence[str]
) -> Segment:
    """Write codes (n, bytes) and items under a name, on disk to stay before this returns.

    Args:
        folder: of the index.
        name: of the files.
        codes: (n, bytes).
        columns: what is to be known of the items.
        indexed: columns that get a B-tree, also such as these items do not have.

    Raises:
        OSError: a disk that is full or refuses; names the file. Other files may stay.
    """
    codes_sha256 = _write(folder, CODES_FOLDER, name, [codes])
    items_sha256 = _write(folder, ITEMS_FOLDER, name, columns.arrays())
    trees = [column for column in (*OWN, *columns.types) if column in indexed]
    metadata_bytes, metadata_sha256 = 0, ""
    if columns.types or trees:
        path = _place(folder, METADATA_FOLDER, name)
        rows = columns.rows([*OWN, *columns.types])
        metadata_bytes, metadata_sha256 = write_metadata(path, columns.types, trees, rows)
        sync_folder(path.parent)
    sizes = len(codes), len(codes), len(columns.ids.content), metadata_bytes
    return Segment(name, name, *sizes, codes_sha256, items_sha256, metadata_sha256)


def write_codes(folder: Path, name: str, segment: Segment, codes: NDArray[np.uint8], items: Items) -> Segment:
    """Write the codes of the items that are left of a segment, and which they are; its file of items stays.

    Raises:
        OSError: a disk that is full or refuses; names the file, and no file stays.
    """
    codes_sha256 = _write(folder, CODES_FOLDER, name, [codes, items.rows.astype(np.uint32)])
    return replace(segment, codes=name, items=len(codes), codes_sha256=codes_sha256)


def _write(folder: Path, subfolder: str, name: str, arrays: Sequence[NDArray[Any]]) -> str:
    path = _place(folder, subfolder, name)
    checksum = write_arrays(path, arrays)
    sync_folder(path.parent)
    return checksum


def _place(folder: Path, subfolder: str, name: str) -> Path:
    """Where a file goes; its folder is made."""
    if not (folder / subfolder).is_dir():
        (folder / subfolder).mkdir(exist_ok=True)
        sync_folder(folder)
    return folder / subfolder / file_name(subfolder, name)


def sync_folders(files: Iterable[Path]) -> None:
    """Make the deletion of files survive a power cut.

    Raises:
        OSError: a disk that refuses.
    """
    for folder in sorted({file.parent for file in files}):
        if folder.is_dir():
            sync_folder(folder)


def open_segments(folder: Path, about: About, segments: Sequence[Segment], opened: Sequence[Part] = ()) -> list[Part]:
    """Segments of an index, those that are not yet open mapped: the largest ``MOST_MAPPED`` files, others read.

    Raises:
        VtsearchError: a file that is missing, truncated, or other than the index says.
    """
    known = {part.segment: part for part in opened}
    sizes = {(segment, subfolder): size for segment in segments for subfolder, size in segment.sizes(about).items()}
    mapped = set(sorted(sizes, key=sizes.__getitem__, reverse=True)[:MOST_MAPPED])

    def opened_part(segment: Segment) -> Part:
        paths = {subfolder: folder / subfolder / name for subfolder, name in segment.files.items()}
        codes, items = (
            open_arrays(paths[subfolder], layouts, mapped=(segment, subfolder) in mapped)
            for subfolder, layouts in segment.layouts(about).items()
        )
        if METADATA_FOLDER not in paths:
            return Part(segment, codes, items, None)
        is_mapped = (segment, METADATA_FOLDER) in mapped
        metadata = MetadataFile.opened(paths[METADATA_FOLDER], segment.metadata_bytes, mapped=is_mapped)
        return Part(segment, codes, items, metadata)

    return [known.get(segment) or opened_part(segment) for segment in segments]
