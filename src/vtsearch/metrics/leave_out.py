"""Excluded items taken out of histograms that counted them: exact, since counts are whole numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtsearch import _answers, _labels, _selection

_PAIR_LABELS = 2**22
_EXACT_BITS = 53  # sums of whole numbers below 2 ** 53 are exact in float64


def subtract(
    group: _selection.Group,
    labels: _labels.Labels,
    items: NDArray[np.int64],
    relevant: NDArray[np.int64],
    gains: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None = None,
) -> None:
    """Take the excluded items of a group out of its histograms, in place.

    ``gains``: sums of shared labels, sums of 2 ** shared labels - 1, and counts by shared labels.
    """
    if group.excluded is None:
        return
    owners, excluded, distances = _answers.excluded_pairs(group)
    shared = _shared_labels(labels, owners, excluded)
    np.subtract.at(items, (owners, distances), 1)
    np.subtract.at(relevant, (owners, distances), shared > 0)
    if gains is not None:
        linear, exponential, counts = gains
        np.subtract.at(linear, (owners, distances), shared)
        np.subtract.at(exponential, (owners, distances), np.ldexp(1.0, shared) - 1)
        np.subtract.at(counts, (owners, shared), 1)


def is_exact(labels: _labels.Labels, items: int) -> bool:
    """Whether sums of 2 ** shared labels over so many items lose no digit."""
    return labels.queries.most() + math.log2(max(items, 1)) < _EXACT_BITS


def _shared_labels(labels: _labels.Labels, owners: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.int64]:
    """(pairs,) number of labels that a query and an item share."""
    shared = np.empty(len(items), dtype=np.int64)
    known = np.repeat(np.arange(len(labels.queries)), np.diff(labels.queries.offsets)) * labels.classes
    keys = known + labels.queries.classes
    step = max(_PAIR_LABELS // max(labels.classes, 1), 1)
    for start in range(0, len(items), step):
        rows = labels.of(items[start : start + step])
        pairs = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
        both = np.isin(owners[start:][pairs] * labels.classes + rows.classes, keys)
        shared[start : start + step] = np.bincount(pairs[both], minlength=len(rows))
    return shared
