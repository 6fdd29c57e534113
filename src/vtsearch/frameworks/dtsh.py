"""DTSH: an image is more like one that shares a label than like one that does not, by a margin, in every triplet.

Paper: Wang et al., Deep Supervised Hashing with Triplet Labels, ACCV 2016, https://arxiv.org/abs/1612.03900.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.base import Framework, check_options
from vtsearch.frameworks.similarity import share_a_label
from vtsearch.tensors.distributed import gather, mean

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor


@dataclass(frozen=True)
class DTSHOptions:
    """Options of DTSH."""

    margin: float = 5.0
    """By how much more alike an image has to be to the one that shares a label, the paper's alpha."""
    scale: float = 0.5
    """Factor of the inner products, which say how alike two images are; the published code takes 1."""
    quantization: float = 1.0
    """Weight of the quantization term mean((u - sign(u))^2), the paper's lambda over a mean instead of a sum."""
    positives: Literal["others", "all"] = "others"
    """Which images share a label with an image: "others" of the batch; or, as published, "all" of it, the image itself
    too, so that a part of the loss only makes features longer."""
    products: Literal["exact", "clamped"] = "exact"
    """Differences of products less the margin as they are, or cut to -100 to 50, beyond which a triplet has no
    gradient, however wrong, as published."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("scale",))

    @classmethod
    def published(cls) -> Self:
        """As in the DeepHash-pytorch collection."""
        return cls(scale=1.0, positives="all", products="clamped")


class DTSH(Framework):
    """L = mean over images of mean over its triplets of log(1 + exp(margin - x + x')) + quantization * Q.

    x = scale <u, u'> with an image that shares a label, x' with one that does not; Q = mean((u - sign(u))^2). Images
    without the one or the other in the batch are no part of the first mean. The batch is that of all processes. It
    takes batch^3 numbers of memory.
    """

    Options = DTSHOptions

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The likelihood of the triplets and the distance to binary codes."""
        others, other_labels, other_positions = (gather(part) for part in (features, labels, positions))
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
