"""Segments: immutable ``codes/*.npy`` files, written once, mapped for ever."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vtsearch._atomic_io import sync_folder
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

CODES_FOLDER = "codes"


@dataclass(frozen=True)
class Segment:
    """The entry of one file of codes in ``index.sqlite``."""

    file: str
    """Name inside the folder ``codes``."""
    items: int
    sha256: str
    """Of the whole file."""


def write_segment(index_folder: Path, codes: NDArray[np.uint8]) -> Segment:
    """Write (n, bytes) codes under a new name, on disk to stay before this returns."""
    codes = np.ascontiguousarray(codes)
    folder = index_folder / CODES_FOLDER
    name = uuid.uuid4().hex[:16]
    temporary, final = folder / f"{name}.tmp", folder / f"{name}.npy"
    try:
        with temporary.open("xb") as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(codes))
            file.write(codes.data)
            file.flush()
            os.fsync(file.fileno())
        sha256 = checksum(temporary)
        temporary.replace(final)
        sync_folder(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(final)) from error
    return Segment(final.name, len(codes), sha256)


def map_segment(index_folder: Path, segment: Segment, width: int) -> NDArray[np.uint8]:
    """The codes of a segment, (items, width) uint8, mapped: nothing but the file's header is read.

    Raises:
        VtsearchError: a file that is missing, truncated, or of another shape than the index says.
    """
    path = index_folder / CODES_FOLDER / segment.file
    try:
        codes = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VtsearchError(
            f"{path}: expected {segment.items} codes of {width} bytes, got a missing or damaged file ({error})"
        ) from error
    if codes.dtype != np.uint8 or codes.shape != (segment.items, width):
        raise VtsearchError(
            f"{path}: expected {segment.items} codes of {width} bytes, got an array {codes.shape} of {codes.dtype}"
        )
    result: NDArray[np.uint8] = codes
    return result


def verify_segment(index_folder: Path, segment: Segment) -> None:
    """Read the whole file and compare its checksum.

    Raises:
        VtsearchError: a file whose bytes are not those that were written.
    """
    path = index_folder / CODES_FOLDER / segment.file
    found = checksum(path)
    if found != segment.sha256:
        raise VtsearchError(
            f"{path}: expected sha256 {segment.sha256[:16]}..., got {found[:16]}...: the file has changed"
        )


def remove_orphans(index_folder: Path, segments: Iterable[Segment]) -> None:
    """Delete files of killed writers: those that the index does not name."""
    named = {segment.file for segment in segments}
    for path in (index_folder / CODES_FOLDER).iterdir():
        if path.name not in named and path.suffix in {".npy", ".tmp"}:
            path.unlink()


def checksum(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
