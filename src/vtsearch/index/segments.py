"""Segments: immutable files of codes and of items, written once, mapped for ever."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vtsearch._atomic_io import sync_folder
from vtsearch._tables import TabledItems, default_tables
from vtsearch.codes import prefix
from vtsearch.index.arrays import Layout, bytes_of, open_arrays, write_arrays
from vtsearch.index.items import Items, item_layouts
from vtsearch.index.metadata import OWN
from vtsearch.index.metadata_file import MetadataFile, write_metadata
from vtsearch.index.tables import opened_arrays, table_arrays, table_layouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from vtsearch.index.about import About
    from vtsearch.index.arrays import ArrayFile
    from vtsearch.index.items import Columns

CODES_FOLDER = "codes"
ITEMS_FOLDER = "items"
METADATA_FOLDER = "metadata"
TABLES_FOLDER = "tables"
FOLDERS = CODES_FOLDER, ITEMS_FOLDER, METADATA_FOLDER, TABLES_FOLDER

MOST_MAPPED = 256
"""Files that one index maps at most; each holds a file descriptor, of which a process often has 1,024."""


def file_name(folder: str, name: str) -> str:
    """The file of a name in one of the folders."""
    return f"{name}.sqlite" if folder == METADATA_FOLDER else f"{name}.npy"


@dataclass(frozen=True)
class Segment:
    """The entry of its files in ``index.sqlite``.

    Those are ``codes/CODES.npy``, ``items/NAME.npy``, ``metadata/NAME.sqlite`` and ``tables/TABLES.npy``. Those of
    items, metadata and tables are never written again. One of codes has those of the items that are left, and, once
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
    tables: str = ""
    """Empty without a file of tables."""
    table_count: int = 0
    tables_sha256: str = ""

    @property
    def files(self) -> dict[str, str]:
        """The names of its files by their folder."""
        names = {CODES_FOLDER: self.codes, ITEMS_FOLDER: self.name}
        if self.metadata_bytes:
            names[METADATA_FOLDER] = self.name
        if self.tables:
            names[TABLES_FOLDER] = self.tables
        return {folder: file_name(folder, name) for folder, name in names.items()}

    def layouts(self, about: About) -> dict[str, list[Layout]]:
        """The arrays of all files by their folder, but of that of metadata."""
        kept = [Layout("<u4", (self.items,))] if self.items < self.rows else []
        layouts = {
            CODES_FOLDER: [Layout("|u1", (self.items, about.width)), *kept],
            ITEMS_FOLDER: item_layouts(self.rows, self.id_bytes, about.labels),
        }
        if self.tables:
            layouts[TABLES_FOLDER] = table_layouts(self.rows, about.width, about.bits, self.table_count)
        return layouts

    def sizes(self, about: About) -> dict[str, int]:
        """The bytes of all files by their folder."""
        sizes = {folder: bytes_of(layouts) for folder, layouts in self.layouts(about).items()}
        return {**sizes, METADATA_FOLDER: self.metadata_bytes} if self.metadata_bytes else sizes

    def without_tables(self) -> Segment:
        """The same files but those of tables."""
        return replace(self, tables="", table_count=0, tables_sha256="")


class Part:
    """An open segment."""

    def __init__(self, segment: Segment, files: Mapping[str, ArrayFile | MetadataFile]) -> None:
        """``files``: those of the segment by their folder."""
        self.segment, self._files = segment, files
        self.codes = cast("NDArray[np.uint8]", self._arrays(CODES_FOLDER).arrays[0])
        """(items, bytes)"""
        kept = cast("list[NDArray[np.uint32]]", self._arrays(CODES_FOLDER).arrays[1:])
        metadata = cast("MetadataFile | None", files.get(METADATA_FOLDER))
        self.items = Items(self._arrays(ITEMS_FOLDER), metadata, *kept)
        self._prefixes: dict[int, NDArray[np.uint8]] = {}
        self._kept = kept[0] if kept else None
        self._tables = opened_arrays(self._arrays(TABLES_FOLDER)) if TABLES_FOLDER in files else None

    def __len__(self) -> int:
        return self.segment.items

    def prefixes(self, bits: int) -> NDArray[np.uint8]:
        """The first bits of the codes, made when they are first asked for and kept in memory."""
        if bits not in self._prefixes:
            self._prefixes[bits] = prefix(self.codes, bits)
        return self._prefixes[bits]

    def tabled(self, first: int) -> TabledItems | None:
        """The items with the tables of their codes, if there are any; ``first``: position of the first one."""
        return None if self._tables is None else TabledItems(first, self._tables, self._kept)

    def between(self, start: int, stop: int) -> Part:
        """Some consecutive items, of the same open files; without tables, unless they are all."""
        if (start, stop) == (0, len(self)):
            return self
        part = copy.copy(self)
        part.segment = replace(self.segment.without_tables(), items=stop - start)
        part.codes, part.items = self.codes[start:stop], self.items.between(start, stop)
        part._prefixes, part._kept, part._tables = {}, None, None  # noqa: SLF001 (its own)
        return part

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
        segment = self.segment
        checksums = {
            CODES_FOLDER: segment.codes_sha256,
            ITEMS_FOLDER: segment.items_sha256,
            METADATA_FOLDER: segment.metadata_sha256,
            TABLES_FOLDER: segment.tables_sha256,
        }
        for folder in folders:
            if folder in self._files:
                self._files[folder].verify(checksums[folder])

    def _arrays(self, folder: str) -> ArrayFile:
        return cast("ArrayFile", self._files[folder])


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
        metadata_bytes, metadata_sha256 = write_metadata(path, columns.types, trees, columns.append)
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


def write_tables(folder: Path, name: str, segment: Segment, about: About) -> Segment:
    """Write tables of the codes of a segment from which nothing has been removed.

    Raises:
        VtsearchError: a damaged file of codes.
        OSError: a disk that is full or refuses; names the file, and no file stays.
    """
    path = folder / CODES_FOLDER / segment.files[CODES_FOLDER]
    file = open_arrays(path, segment.layouts(about)[CODES_FOLDER])
    file.verify(segment.codes_sha256)
    count = default_tables(segment.rows, about.bits)
    arrays = table_arrays(cast("NDArray[np.uint8]", file.arrays[0]), about.bits, count)
    checksum = _write(folder, TABLES_FOLDER, name, arrays)
    return replace(segment, tables=name, table_count=count, tables_sha256=checksum)


def _write(folder: Path, subfolder: str, name: str, arrays: Iterable[NDArray[Any]]) -> str:
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
        files: dict[str, ArrayFile | MetadataFile] = {}
        layouts = segment.layouts(about)
        for subfolder, name in segment.files.items():
            path, is_mapped = folder / subfolder / name, (segment, subfolder) in mapped
            if subfolder == METADATA_FOLDER:
                files[subfolder] = MetadataFile.opened(path, segment.metadata_bytes, mapped=is_mapped)
            else:
                files[subfolder] = open_arrays(path, layouts[subfolder], mapped=is_mapped)
        return Part(segment, files)

    return [known.get(segment) or opened_part(segment) for segment in segments]
