"""CSQ: each class has a center, far from the others, and features are drawn to the center of their label.

Paper: Yuan et al., Central Similarity Quantization for Efficient Image and Video Retrieval, CVPR 2020,
https://arxiv.org/abs/1908.00347.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.base import Framework
from vtsearch.frameworks.centers import class_centers, majority_centers
from vtsearch.frameworks.checks import check_options

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


@dataclass(frozen=True)
class CSQOptions:
    """What CSQ can be told."""

    quantization: float = 1e-4
    """Weight of the quantization term mean((|tanh u| - 1)^2), the paper's lambda; at least 0."""
    form: Literal["logits", "published"] = "logits"
    """How the central similarity is computed. "logits" is exact; "published" takes the logarithm of a rounded
    probability, so that beyond |u| = 9 a wrong bit has no gradient in float32."""

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def published(cls) -> CSQOptions:
        """As in Dubey et al.'s code: the logarithm of a rounded probability."""
        return cls(form="published")


class CSQ(Framework):
    """L = BCE((t + 1) / 2, (c + 1) / 2) + quantization * mean((|t| - 1)^2), t = tanh(u), c the item's center.

    An item with several labels has the majority of their centers; even votes take a vector that is drawn once from
    the seed. That also is the center of an item without labels.
    """

    Options = CSQOptions
    centers: Tensor
    tie: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        random = torch.Generator().manual_seed(seed)
        self.register_buffer("centers", class_centers(classes, bits, seed))  # (classes, bits) of -1, +1
        self.register_buffer("tie", torch.randint(2, (bits,), generator=random).float() * 2 - 1)  # (bits,) of -1, +1

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (no bank)
        """Central similarity (equation 4 of the paper) and quantization (equation 6, in its published square)."""
        centers = majority_centers(self.centers.to(labels.dtype), labels, self.tie.to(labels.dtype))  # (b, bits)
        activated = features.tanh()
        probability = (centers + 1) / 2
        if self.options.form == "logits":  # (tanh u + 1) / 2 = sigmoid(2 u)
            similarity = functional.binary_cross_entropy_with_logits(2 * features, probability)
        else:
            similarity = functional.binary_cross_entropy((activated + 1) / 2, probability)
        quantization: float = self.options.quantization
        return similarity + quantization * (activated.abs() - 1).square().mean()
