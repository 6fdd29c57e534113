"""Seeded samples of items: the same for the same number of items, on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sampled_positions(items: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` positions below ``items``, ascending; all where they are no more."""
    if items <= most:
        return np.arange(items)
    # Random words of PCG64 alone never change with numpy; what its generators draw from them may.
    words = np.random.PCG64(0).random_raw(4 * most)
    drawn = np.unique((words >> np.uint64(32)) * np.uint64(items) >> np.uint64(32))
    if len(drawn) < most:
        return np.unique(np.linspace(0, items - 1, most).astype(np.int64))
    chosen: NDArray[np.int64] = drawn[np.linspace(0, len(drawn) - 1, most).astype(np.int64)].astype(np.int64)
    return chosen
