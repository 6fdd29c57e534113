"""A threshold of each bit's own: what keeps the codes of uncertain images apart from those of certain ones.

Features that are trained towards -1 and +1, or towards centers, are far from 0 for images that a model is sure of. With
0 as the threshold of all bits, an image of which it is 60 % sure has the same code, and ties with them. With thresholds
spread between, such an image differs in the bits whose threshold is beyond its features.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from vtsearch.models.heads import feature_biases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.training.setup import RunComponents

MEASURED = 1000
"""Training images whose features tell their size."""


@contextmanager
def thresholds_applied(components: RunComponents) -> Iterator[None]:
    """Within it, the features of the run's model are what is left of them above each bit's threshold.

    The thresholds are those of ``spread_thresholds``, in mean sizes of a feature of training images. They are part of
    the head's bias, so a model that is written within has them, and its code is the sign of its features as ever.
    """
    most = components.config.thresholds
    if not most:
        yield
        return
    size = components.evaluator.feature_size(_sample(components.fit))
    biases = feature_biases(components.model.head)
    before = [bias.detach().clone() for bias in biases]
    thresholds = spread_thresholds(components.model.bits, most * size, components.config.seed)
    with torch.no_grad():
        for bias, part in zip(biases, torch.split(thresholds, [len(bias) for bias in biases]), strict=True):
            bias.sub_(part.to(bias))
    try:
        yield
    finally:
        with torch.no_grad():
            for bias, value in zip(biases, before, strict=True):
                bias.copy_(value)


def spread_thresholds(bits: int, most: float, seed: int = 0) -> Tensor:
    """One threshold a bit, evenly from -most to most in random order: float32 (bits,)."""
    order = torch.randperm(bits, generator=torch.Generator().manual_seed(seed))
    return torch.linspace(-most, most, bits)[order]


def _sample(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `MEASURED` of them, evenly from the first to the last, whose classes may be in order."""
    count = min(len(positions), MEASURED)
    return positions[np.linspace(0, len(positions) - 1, count).astype(np.int64)]
