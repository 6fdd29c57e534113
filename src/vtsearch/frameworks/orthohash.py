"""OrthoHash: one cross-entropy over the cosines between a feature vector and all classes' codes, with a margin.

Paper: Hoe et al., One Loss for All: Deep Hashing with a Single Cosine Similarity based Learning Objective, NeurIPS
2021, https://arxiv.org/abs/2109.14449.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.base import Framework, check_options, label_shares
from vtsearch.frameworks.centers import Construction, draw_centers, share_centers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class OrthoHashOptions:
    """Options of OrthoHash."""

    scale: float = 8.0
    """Factor of the cosines, the paper's s (equation 5); above 0."""
    margin: float = 0.2
    """Margin of an item's own classes, the paper's m; at least 0. The authors use 0.3 for CIFAR-10."""
    margin_of: Literal["cosine", "angle"] = "cosine"
    """Target of the margin: the cosine less m, or the angle plus m radians (at most half a turn)."""
    centers: Construction = "distant"
    """Construction of the classes' codes. "distant": distinct, at the largest distance found. "bernoulli": fair coins,
    as in the authors' code. "balanced", "redrawn": as in DPN's and CSQ's published code."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("scale",))
        if self.margin > math.pi:
            raise ValueError(f"margin: expected at most pi, got {self.margin}")

    def without_effect(self, _facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        return {} if self.margin else {"margin_of": "margin is 0"}

    @classmethod
    def published(cls) -> Self:
        """The options of the authors' public code."""
        return cls(centers="bernoulli")


class OrthoHash(Framework):
    """L = cross-entropy(scale * (cos(u, c) - margin * y), y), c the classes' codes, y the labels in equal shares.

    The loss does not depend on the length of u, so it has no quantization term: a vector with the angle of its code has
    its signs. The authors normalize each feature over the batch; this is part of the model, whose output signs are the
    codes: build it with ``head_norm="batch"``. An item without labels has a loss of 0.
    """

    Options = OrthoHashOptions
    centers: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        centers = draw_centers(self.options.centers, classes, bits, seed)
        self.register_buffer("centers", centers)  # (classes, bits) of -1, +1

    @property
    def is_pointwise(self) -> bool:
        """Each image is classified by itself."""
        return True

    def share_bits(self, shorter: Sequence[Framework]) -> None:
        """Codes of the classes that are far from each other in every prefix."""
        share_centers(self, shorter)

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (no bank)
        """The margin cross-entropy (equation 5)."""
        directions = functional.normalize(features, eps=1e-6)
        cosines = directions @ self.centers.to(features.dtype).T / math.sqrt(self.bits)  # (b, classes)
        margin: float = self.options.margin
        own = cosines - margin if self.options.margin_of == "cosine" else turned_away(cosines, margin)
        logits = self.options.scale * torch.where(labels > 0, own, cosines)
        return functional.cross_entropy(logits, label_shares(labels))  # 0 for items without labels


def turned_away(cosines: Tensor, margin: float) -> Tensor:
    """cos(angle + margin) of angles given by their cosines, continued beyond half a turn. Any shape.

    Beyond half a turn the cosine would increase again and push an item away from its class; there it is mirrored.
    """
    # The root has no derivative at 0: the clamp removes the gradient at a center and opposite to it.
    sines = (1 - cosines.square()).clamp(min=1e-5).sqrt()
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    return torch.where(cosines > -math.cos(margin), turned, -2 - turned)
