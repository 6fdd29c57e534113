"""Thumbnails kept in memory, within a number of bytes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

MOST_BYTES = 64 * 2**20
ENTRY = 256
"""Bytes that an entry takes beside its key and its thumbnail, about."""


class ThumbnailCache:
    """The thumbnails that were asked for last; for one thread.

    Args:
        most_bytes: of all thumbnails and keys.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[Hashable, str, int], bytes] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of all thumbnails and keys, about."""
        return self._bytes

    def get(self, generation: Hashable, name: str, side: int) -> bytes | None:
        """The thumbnail of an item of one state of an index, if it is kept.

        Args:
            generation: of the index: any value that changes when its items or their images may have.
            name: the id.
            side: as it was asked for.
        """
        key = (generation, name, side)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, generation: Hashable, name: str, side: int, thumbnail: bytes) -> None:
        """Keep a thumbnail; those that were not asked for longest give way. One that is larger than all is not kept."""
        key = (generation, name, side)
        self._drop(key)
        size = _size(name, thumbnail)
        if size > self._most:
            return
        self._kept[key] = thumbnail
        self._bytes += size
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[Hashable, str, int]) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._bytes -= _size(key[1], dropped)


def _size(name: str, thumbnail: bytes) -> int:
    return ENTRY + sys.getsizeof(name) + len(thumbnail)
