"""Content hashes of images, read errors, and groups of equal images."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from vtsearch._validate import available_cpus
from vtsearch.data.sources.decode import check_header
from vtsearch.data.sources.image_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vtsearch.data.sources.image_source import ImageSource


def hash_images(
    source: ImageSource, *, quick: bool, progress: Callable[[int, int], object] | None
) -> dict[int, bytes | str]:
    """Position -> a hash of the content (empty under ``quick``), or the read error; missing files are left out."""
    found: dict[int, bytes | str] = {}
    with ThreadPoolExecutor(available_cpus()) as threads:
        for position, result in enumerate(threads.map(lambda at: _hash(source, at, quick=quick), range(len(source)))):
            if result is not None:
                found[position] = result
            if progress is not None:
                progress(position + 1, len(source))
    return found


def _hash(source: ImageSource, position: int, *, quick: bool) -> bytes | str | None:
    try:
        if not isinstance(source, FileSource):
            return b"" if quick else hashlib.sha256(np.asarray(source.load(position)).tobytes()).digest()
        path = source.path(position)
        if quick:
            check_header(path, source.id(position))
            return b""
        source.load(position)
        return hashlib.sha256(path.read_bytes()).digest()
    except FileNotFoundError:
        return None
    except Exception as fault:  # noqa: BLE001 (a check survives whatever it finds)
        return _told(fault, source, position)


def _told(fault: Exception, source: ImageSource, position: int) -> str:
    """The message of a fault, with the name of its item."""
    text, name = " ".join(str(fault).split()) or type(fault).__name__, source.id(position)
    return text if name in text else f"{name}: {text}"


def groups_of_same(hashes: Mapping[int, bytes | str]) -> list[list[int]]:
    """Groups of two or more positions with the same content hash."""
    groups: dict[bytes, list[int]] = {}
    for position, digest in hashes.items():
        if isinstance(digest, bytes) and digest:
            groups.setdefault(digest, []).append(position)
    return [group for group in groups.values() if len(group) > 1]
