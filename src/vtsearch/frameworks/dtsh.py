"""DTSH: a triplet likelihood with a margin on inner products of features.

Paper: Wang et al., Deep Supervised Hashing with Triplet Labels, ACCV 2016, https://arxiv.org/abs/1612.03900.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.base import Framework, check_options
from vtsearch.frameworks.similarity import share_a_label
from vtsearch.tensors.distributed import gather_batch, mean

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor


@dataclass(frozen=True)
class DTSHOptions:
    """Options of DTSH."""

    margin: float = 5.0
    """Margin between the products with a similar and with a dissimilar image, the paper's alpha."""
    scale: float = 0.5
    """Factor of the inner products; 1 in the published code."""
    quantization: float = 1.0
    """Weight of the quantization term mean((u - sign(u))^2), the paper's lambda over a mean instead of a sum."""
    positives: Literal["others", "all"] = "others"
    """Similar images of an image: among the "others" of the batch; or, as published, among "all" of it with the image
    itself, so that part of the loss only makes features longer."""
    products: Literal["exact", "clamped"] = "exact"
    """Differences of products less the margin, exact or clamped to -100 to 50, as published, without gradient for
    triplets beyond."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("scale",))

    @classmethod
    def published(cls) -> Self:
        """As in the DeepHash-pytorch collection."""
        return cls(scale=1.0, positives="all", products="clamped")


class DTSH(Framework):
    """L = mean over images of mean over its triplets of log(1 + exp(margin - x + x')) + quantization * Q.

    x = scale <u, u'> with a similar image, x' with a dissimilar one; Q = mean((u - sign(u))^2). Images without either
    in the batch are excluded from the first mean. The batch is that of all processes. Memory: batch^3 numbers.
    """

    Options = DTSHOptions

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The likelihood of the triplets and the distance to binary codes."""
        others, other_labels, other_positions = (gather_batch(part) for part in (features, labels, positions))
        similar = share_a_label(labels, other_labels)  # (b, n)
        negative = 1 - similar
        positive = similar
        if self.options.positives == "others":
            positive = similar * (positions[:, None] != other_positions)
        products = self.options.scale * features @ others.T
        gaps = products[:, :, None] - products[:, None, :] - self.options.margin  # (b, positives, negatives)
        if self.options.products == "clamped":
            gaps = gaps.clamp(min=-100, max=50)
        counts = positive.sum(dim=1) * negative.sum(dim=1)
        losses = torch.einsum("bpn,bp,bn->b", functional.softplus(-gaps), positive, negative) / counts.clamp(min=1)
        quantization: float = self.options.quantization
        # (|u| - 1)^2 is (u - sign(u))^2 with a sign that is never 0
        return mean(losses, (counts > 0).to(losses.dtype)) + quantization * mean((features.abs() - 1).square())
