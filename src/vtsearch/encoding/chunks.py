"""Codes of an encoding that is not finished: a file per chunk of rows, each written as a whole."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch._atomic_io import write_file
from vtsearch.data.loading.tolerant_dataset import Fault
from vtsearch.data.sources.file_facts import FileFacts
from vtsearch.data.sources.stamp import Stamp
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


SUFFIX = ".npz"
DAMAGE = (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error)


class SavedChunk(NamedTuple):
    """What is kept in memory of a chunk whose file has the rest."""

    start: int
    stop: int
    """The row after the last."""
    faults: tuple[Fault, ...]
    images: str
    """``images_digest`` of the rows."""


@dataclass(frozen=True)
class Chunk:
    """Codes of consecutive rows of a selection of images."""

    start: int
    """The first row."""
    codes: NDArray[np.uint8]
    """(b, bytes); those of rows with a fault mean nothing."""
    faults: tuple[Fault, ...]
    images: str
    """``images_digest`` of the rows."""
    facts: tuple[FileFacts | None, ...]
    """Of the file of each row."""

    @property
    def saved(self) -> SavedChunk:
        """What is kept in memory of it."""
        return SavedChunk(self.start, self.start + len(self.codes), self.faults, self.images)


def images_digest(ids: Iterable[str], stamps: Iterable[Stamp | None]) -> str:
    """sha256 of the ids of images, and of the sizes, times and places of what they are stored in."""
    digest = hashlib.sha256()
    for name, stamp in zip(ids, stamps, strict=True):
        digest.update(json.dumps([name, stamp]).encode())
    return digest.hexdigest()


def write_chunk(folder: Path, chunk: Chunk) -> None:
    """Write a chunk to its own file, on disk to stay before this returns.

    Raises:
        OSError: a disk that is full or refuses.
    """
    content = io.BytesIO()
    faults = json.dumps([list(fault) for fault in chunk.faults])
    facts = json.dumps(chunk.facts)
    np.savez(content, start=chunk.start, codes=chunk.codes, faults=faults, images=chunk.images, facts=facts)
    write_file(folder / _name(chunk.start), content.getvalue())


def read_chunks(folder: Path, width: int, rows: range | None = None) -> list[SavedChunk]:
    """All chunks in the order of their rows; files that are damaged or overlap with an earlier one are deleted.

    Args:
        folder: of the chunks.
        width: bytes per code.
        rows: only the chunks that have some of these rows; no file of others is deleted.
    """
    chunks: list[SavedChunk] = []
    for path in _of_rows(sorted(folder.iterdir()), rows):
        chunk = _read(path, width)
        if chunk is not None and not (chunks and chunk.start < chunks[-1].stop):
            chunks.append(chunk.saved)
        elif rows is None or path.name >= _name(rows.start):
            path.unlink(missing_ok=True)
    return [chunk for chunk in chunks if rows is None or chunk.stop > rows.start]


def _of_rows(files: list[Path], rows: range | None) -> list[Path]:
    """The files of chunks that begin among some rows, and the one before them, which may reach into them."""
    if rows is None:
        return files
    names = [file.name for file in files]
    first = bisect.bisect_left(names, _name(rows.start))
    return files[max(first - 1, 0) : bisect.bisect_left(names, _name(rows.stop))]


def _name(start: int) -> str:
    """The file of the chunk that begins at a row."""
    return f"{start:012d}{SUFFIX}"


def saved_rows(folder: Path) -> int:
    """The number of rows that undamaged files of chunks have, each counted once."""
    rows: set[range] = set()
    for path in folder.iterdir():
        with contextlib.suppress(*DAMAGE), path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            start = int(file["start"])
            rows.add(range(start, start + len(file["codes"])))
    count = stop = 0
    for each in sorted(rows, key=lambda each: each.start):
        count += max(each.stop - max(each.start, stop), 0)
        stop = max(stop, each.stop)
    return count


def load_chunk(folder: Path, saved: SavedChunk, width: int) -> Chunk:
    """A chunk with its codes and facts.

    Raises:
        VtsearchError: its file was damaged or deleted since it was written or read.
    """
    chunk = _read(folder / _name(saved.start), width)
    if chunk is None or chunk.saved != saved:
        raise VtsearchError(f"{folder / _name(saved.start)}: damaged or deleted since; the same command continues")
    return chunk


def remove_chunk(folder: Path, chunk: SavedChunk) -> None:
    """Delete the file of a chunk."""
    (folder / _name(chunk.start)).unlink(missing_ok=True)


def gaps(chunks: Sequence[SavedChunk], rows: range) -> list[range]:
    """Those of consecutive rows that are in no chunk."""
    stops = [rows.start, *(chunk.stop for chunk in chunks)]
    starts = [*(chunk.start for chunk in chunks), rows.stop]
    return [range(stop, start) for stop, start in zip(stops, starts, strict=True) if stop < start]


def _read(path: Path, width: int) -> Chunk | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # the archive has a checksum per array
            codes = file["codes"]
            faults = tuple(Fault(int(row), str(reason)) for row, reason in json.loads(str(file["faults"])))
            facts = tuple(facts_of(fields) for fields in json.loads(str(file["facts"])))
            chunk = Chunk(int(file["start"]), codes, faults, str(file["images"]), facts)
    except DAMAGE:
        return None
    fits = codes.dtype == np.uint8 and codes.ndim == 2 and codes.shape[1] == width and len(codes) == len(facts) > 0
    return chunk if fits and path.name == _name(chunk.start) else None


def facts_of(fields: list[Any] | None) -> FileFacts | None:
    """What is known of a file, of its fields in JSON."""
    return None if fields is None else FileFacts(None if fields[0] is None else Stamp(*fields[0]), *fields[1:])
