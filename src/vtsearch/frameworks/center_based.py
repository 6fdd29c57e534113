"""The base class of frameworks with fixed target codes: class centers, and the center of each item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vtsearch.frameworks.base import Framework
from vtsearch.frameworks.centers import draw_centers, majority_centers, tie_vector
from vtsearch.frameworks.multi_label import first_label

if TYPE_CHECKING:
    from torch import Tensor


class CenterBasedFramework(Framework):
    """A framework with a center for each class; its options have ``centers`` and ``multi_label``."""

    centers: Tensor
    tie: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        centers = draw_centers(self.options.centers, classes, bits, seed)
        self.register_buffer("centers", centers)  # (classes, bits) of -1, +1
        self.register_buffer("tie", tie_vector(bits, seed))  # (bits,) of -1, +1

    def centers_of(self, labels: Tensor) -> Tensor:
        """The center of each item, (b, classes) of 0 and 1 -> (b, bits): by majority, or that of the first label."""
        if self.options.multi_label == "first":
            labels = first_label(labels)
        return majority_centers(self.centers.to(labels.dtype), labels, self.tie.to(labels.dtype))
