"""Codes of an encoding that is not finished: a file per chunk of rows, each written as a whole."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._atomic_io import write_file
from vtsearch.data.loading.tolerant_dataset import Fault
from vtsearch.data.sources.file_facts import FileFacts
from vtsearch.data.sources.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


SUFFIX = ".npz"
DAMAGE = (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error)


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
    def stop(self) -> int:
        """The row after the last."""
        return self.start + len(self.codes)


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
    write_file(folder / f"{chunk.start:012d}{SUFFIX}", content.getvalue())


def read_chunks(folder: Path, width: int) -> list[Chunk]:
    """All chunks in the order of their rows; files that are damaged or overlap with an earlier one are deleted.

    Args:
        folder: of the chunks.
        width: bytes per code.
    """
    chunks: list[Chunk] = []
    for path in sorted(folder.iterdir()):
        chunk = _read(path, width)
        if chunk is None or (chunks and chunk.start < chunks[-1].stop):
            path.unlink()
        else:
            chunks.append(chunk)
    return chunks


def remove_chunk(folder: Path, chunk: Chunk) -> None:
    """Delete the file of a chunk."""
    (folder / f"{chunk.start:012d}{SUFFIX}").unlink()


def gaps(chunks: Sequence[Chunk], total: int) -> list[range]:
    """The rows of 0 to ``total`` - 1 that are in no chunk."""
    stops, starts = [0, *(chunk.stop for chunk in chunks)], [*(chunk.start for chunk in chunks), total]
    return [range(stop, start) for stop, start in zip(stops, starts, strict=True) if stop < start]


def _read(path: Path, width: int) -> Chunk | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # the archive has a checksum per array
            codes = file["codes"]
            faults = tuple(Fault(int(row), str(reason)) for row, reason in json.loads(str(file["faults"])))
            facts = tuple(_facts(fields) for fields in json.loads(str(file["facts"])))
            chunk = Chunk(int(file["start"]), codes, faults, str(file["images"]), facts)
    except DAMAGE:
        return None
    fits = codes.dtype == np.uint8 and codes.ndim == 2 and codes.shape[1] == width and len(codes) == len(facts) > 0
    return chunk if fits and path.name == f"{chunk.start:012d}{SUFFIX}" else None


def _facts(fields: list[Any] | None) -> FileFacts | None:
    return None if fields is None else FileFacts(None if fields[0] is None else Stamp(*fields[0]), *fields[1:])
