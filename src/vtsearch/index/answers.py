"""What a search of an index takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from vtsearch._exclusions import Exclude
    from vtsearch.index.where import Params


class Options(TypedDict):
    """The arguments that every search passes on."""

    mask: ArrayLike | None
    exclude: Exclude | None
    threads: int | None
    progress: Callable[[int, int], object] | None


class Restrictions(TypedDict, total=False):
    """The arguments of a search that have defaults, but for the number of its results."""

    where: str | None
    params: Params
    mask: ArrayLike | None
    exclude: Exclude | None
    threads: int | None
    progress: Callable[[int, int], object] | None
    bits: int | None


class Answers(NamedTuple):
    """The nearest items of each query, nearest first, in the order (distance, index)."""

    distances: NDArray[np.int32]
    """(q, k)"""
    indices: NDArray[np.int64]
    """(q, k) positions in the index."""
    ids: list[list[str]]
    """q rows of k external ids."""
