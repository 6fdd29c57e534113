"""Codes of images on their way into an index, with what is known of the images: a segment at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.file_facts import columns_of
from vtsearch.data.sources.image_source import classes_of, labels_of
from vtsearch.index import Index
from vtsearch.index.changes import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.data.selection import ImageSelection
    from vtsearch.data.sources.file_facts import FileFacts


def new_index(
    folder: Path, images: ImageSelection, bits: int, fingerprints: Mapping[str, str], description: Mapping[str, str]
) -> Index:
    """An empty index for codes of images."""
    classes = classes_of(images.source)
    return Index.create(folder, bits, fingerprints=fingerprints, classes=classes, description=description)


class IndexWriter:
    """Adds images to an index as many at a time as make one of its segments, so that no more are in memory.

    The segments are those that an index has to which all were added at once.

    Args:
        index: to add to.
        images: have the ids and labels.
        most: images of a segment.
    """

    def __init__(self, index: Index, images: ImageSelection, *, most: int = MOST_ROWS) -> None:
        self._index, self._images, self._most = index, images, most
        self._codes: list[NDArray[np.uint8]] = []
        self._positions: list[NDArray[np.int64]] = []
        self._facts: list[FileFacts | None] = []

    def add(
        self, codes: NDArray[np.uint8], positions: NDArray[np.int64], facts: Sequence[FileFacts | None] = ()
    ) -> None:
        """Take codes (n, bytes) of images at positions (n,) of their source, with their files if all have one."""
        self._codes.append(codes)
        self._positions.append(positions)
        self._facts += facts
        while sum(map(len, self._positions)) >= self._most:
            self._put(self._most)

    def finish(self) -> None:
        """Add those that are left."""
        if self._positions:
            self._put(self._most)

    def _put(self, count: int) -> None:
        codes, positions = np.concatenate(self._codes), np.concatenate(self._positions)
        mine, source = positions[:count], self._images.source
        labels = labels_of(source)[mine] if self._images.labelled else None
        ids = [source.id(position) for position in mine.tolist()]
        self._index.add(codes[:count], ids, labels, columns_of(self._facts[:count]))
        self._codes, self._positions, self._facts = [codes[count:]], [positions[count:]], self._facts[count:]
