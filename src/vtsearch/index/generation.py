"""One state of an index, open: settings and segments, read by any number of threads and changed by none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.index.labels import unpack_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.index.about import About
    from vtsearch.index.labels import Labels
    from vtsearch.index.segments import Part


class Generation:
    """The settings of an index and the items of its segments, in order."""

    def __init__(self, about: About, parts: Sequence[Part]) -> None:
        self.about, self.parts = about, list(parts)
        self._bounds = np.cumsum([0, *map(len, self.parts)])

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def codes(self) -> list[NDArray[np.uint8]]:
        """The codes of all segments, at least one array."""
        return [part.codes for part in self.parts] or [np.empty((0, self.about.width), dtype=np.uint8)]

    def ids(self) -> list[str]:
        """All ids."""
        return [name for part in self.parts for name in part.items.ids()]

    def ids_at(self, positions: Sequence[int]) -> dict[int, str]:
        """Position -> id.

        Raises:
            IndexError: a position beyond the items.
        """
        wanted = np.unique(np.asarray(list(positions), dtype=np.int64))
        if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(self):
            beyond = wanted[0] if wanted[0] < 0 else wanted[-1]
            raise IndexError(f"position: expected one of {len(self)} items, got {beyond}")
        found: dict[int, str] = {}
        cuts = np.searchsorted(wanted, self._bounds)
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            some = wanted[cuts[number] : cuts[number + 1]]
            names = self.parts[number].items.ids_at(some - self._bounds[number])
            found.update(zip(some.tolist(), names, strict=True))
        return found

    def position(self, name: str) -> int | None:
        """The position of an id, or None."""
        for first, part in zip(self._bounds.tolist(), self.parts, strict=False):
            row = part.items.row(name)
            if row is not None:
                return int(first + row)
        return None

    def known(self, names: Sequence[str], table: NDArray[np.uint64]) -> str | None:
        """One of the names, whose table of look-up is given, that is already an id."""
        found = (part.items.known(names, table) for part in self.parts)
        return next((name for name in found if name is not None), None)

    def labels(self) -> Labels | None:
        """int64 (n,), uint8 0/1 (n, classes), or None."""
        return unpack_labels([part.items.labels for part in self.parts], self.about.labels)

    def metadata(self) -> list[dict[str, object]]:
        """The metadata of all items."""
        return [row for part in self.parts for row in part.items.metadata()]

    def verify(self) -> None:
        """Read all files and compare their checksums.

        Raises:
            VtsearchError: a file whose bytes are not those that were written.
        """
        for part in self.parts:
            part.verify()
