"""Codes class by class, so that those of one class are read without the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CodesByLabel(NamedTuple):
    """Codes in the order of their labels."""

    labels: NDArray[np.integer[Any]]
    """The different labels, ascending."""
    bounds: NDArray[np.int64]
    """Where the codes of each begin, and the end of the last."""
    codes: NDArray[np.uint8]

    @classmethod
    def made(cls, labels: NDArray[np.integer[Any]], codes: NDArray[np.uint8]) -> Self:
        """The codes (n, bytes) of items with one label (n,) each."""
        order = np.argsort(labels, kind="stable")
        ordered = labels[order]
        first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        return cls(ordered[first], np.append(first, len(labels)), codes[order])

    def of(self, label: int) -> NDArray[np.uint8]:
        """The codes of one label that there is."""
        place = int(np.searchsorted(self.labels, label))
        return self.codes[self.bounds[place] : self.bounds[place + 1]]
