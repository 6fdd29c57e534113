"""Files of one or several arrays, each as ``numpy.save`` writes it, one after the other; checksums and mapping.

The header of every array is known before its file is opened: no header is parsed, it is compared.
"""

from __future__ import annotations

import hashlib
import math
import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vtsearch import _pages
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

HEADER_BYTES = 128
_CHECKED_BYTES = 64 * 2**20


class Layout(NamedTuple):
    """Dtype and shape of an array in a file."""

    descr: str
    """As numpy's headers name a dtype: ``|u1``, ``<i8``, ``<u8``."""
    shape: tuple[int, ...]

    @property
    def header(self) -> bytes:
        """The header that ``numpy.save`` writes before the array, in version 1.0 of its format."""
        text = f"{{'descr': '{self.descr}', 'fortran_order': False, 'shape': {self.shape}, }}"
        text = text.ljust(HEADER_BYTES - 11) + "\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("ascii")

    @property
    def nbytes(self) -> int:
        """Bytes of the array without its header."""
        return math.prod(self.shape) * int(self.descr[2:])


def bytes_of(layouts: Iterable[Layout]) -> int:
    """Bytes of a file of arrays."""
    return sum(HEADER_BYTES + layout.nbytes for layout in layouts)


def layout_of(array: NDArray[np.generic]) -> Layout:
    """The layout of an array, on disk little-endian."""
    descr = "|u1" if array.dtype == np.uint8 else f"<{array.dtype.kind}{array.dtype.itemsize}"
    return Layout(descr, array.shape)


def write_arrays(path: Path, arrays: Iterable[NDArray[np.generic]]) -> str:
    """Write arrays into a file, on disk to stay before this returns; returns its SHA-256 in hexadecimal.

    Raises:
        OSError: a disk that is full or refuses; names the file, which is deleted.
    """
    try:
        with path.open("wb") as file:
            checksum = hashlib.sha256()
            for array in arrays:
                layout = layout_of(array)
                content = np.ascontiguousarray(array, dtype=layout.descr).reshape(-1).view(np.uint8)
                for piece in (layout.header, content.data):
                    checksum.update(piece)
                    file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    return checksum.hexdigest()


def open_arrays(path: Path, layouts: Sequence[Layout], *, mapped: bool = True) -> ArrayFile:
    """The arrays of a file: mapped, so that nothing but the headers is read, or else read into memory.

    Raises:
        VtsearchError: a file that is missing, of another length or with other headers than the layouts say.
    """
    content = open_bytes(path, bytes_of(layouts), mapped=mapped)
    arrays, start = [], 0
    for layout in layouts:
        data = start + HEADER_BYTES
        if content[start:data].tobytes() != layout.header:
            raise VtsearchError(
                f"{path}: expected an array {layout.shape} of {layout.descr}, got another header: the file is damaged"
            )
        start = data + layout.nbytes
        arrays.append(content[data:start].view(layout.descr).reshape(layout.shape))
    return ArrayFile(path, content, arrays)


def open_bytes(path: Path, expected: int, *, mapped: bool) -> NDArray[np.uint8]:
    """All bytes of a file, mapped, or else read into memory.

    Raises:
        VtsearchError: a file that is missing or of another length.
    """
    try:
        size = path.stat().st_size
        if size != expected:
            raise VtsearchError(f"{path}: expected {expected} bytes, got {size}: the file is damaged")
        return np.memmap(path, np.uint8, "r") if mapped else np.fromfile(path, np.uint8)
    except (OSError, ValueError) as error:
        raise VtsearchError(f"{path}: expected a file of the index, got a missing or damaged one ({error})") from error


def verify_bytes(path: Path, content: NDArray[np.uint8], sha256: str) -> None:
    """Read all bytes of an open file, again if they were read into memory, and compare their checksum.

    Raises:
        VtsearchError: a file whose bytes are not those that were written.
    """
    read_again = not isinstance(content, np.memmap) and path.exists()
    found = checksum_of(np.fromfile(path, np.uint8) if read_again else content)
    if found != sha256:
        raise VtsearchError(f"{path}: expected sha256 {sha256[:16]}..., got {found[:16]}...: the file has changed")


def checksum_of(content: NDArray[np.uint8]) -> str:
    """SHA-256 of bytes in hexadecimal, of which none stays in memory if they are mapped."""
    checksum = hashlib.sha256()
    for start in range(0, len(content), _CHECKED_BYTES):
        checksum.update(content[start : start + _CHECKED_BYTES].data)
        _pages.release(content[start : start + _CHECKED_BYTES])
    return checksum.hexdigest()


class ArrayFile(NamedTuple):
    """An open file of arrays."""

    path: Path
    content: NDArray[np.uint8]
    """All bytes of the file."""
    arrays: list[NDArray[np.generic]]

    def verify(self, sha256: str) -> None:
        """Read all bytes and compare their checksum.

        Raises:
            VtsearchError: a file whose bytes are not those that were written.
        """
        verify_bytes(self.path, self.content, sha256)
