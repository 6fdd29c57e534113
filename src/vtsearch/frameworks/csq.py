"""CSQ: binary cross-entropy between features and the center of their class, with centers far from each other.

Paper: Yuan et al., Central Similarity Quantization for Efficient Image and Video Retrieval, CVPR 2020,
https://arxiv.org/abs/1908.00347.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch.nn import functional

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.centers import CenterBasedFramework, Construction

if TYPE_CHECKING:
    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class CSQOptions:
    """Options of CSQ."""

    quantization: float = 1e-4
    """Weight of the quantization term mean((|tanh u| - 1)^2), the paper's lambda; at least 0."""
    form: Literal["logits", "published"] = "logits"
    """Computation of the central similarity. "logits" is exact; "published" takes the logarithm of a rounded
    probability, without gradient in float32 for a wrong bit beyond |u| = 9."""
    centers: Construction = "distant"
    """Construction of the centers (section 3.2). "distant": distinct, at the largest distance found, for any length.
    "redrawn" is the published construction: Hadamard rows, then random balanced ones, possibly with repeats; for powers
    of two only. "balanced" and "bernoulli" are random from the first row on."""
    multi_label: Literal["majority", "first"] = "majority"
    """Target of an item with several labels: the "majority" of their centers, or the center of the "first" one, as
    published for all data sets but NUS-WIDE-21 and COCO."""
    smoothing: float = 0.0
    """Share of a target's probability that is spread over both values of a bit: c becomes (1 - smoothing) c; below 1.
    """

    def __post_init__(self) -> None:
        check_options(self, below_one=("smoothing",))

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        return {"multi_label": "each image has one label"} if facts.single_labels else {}

    @classmethod
    def published(cls) -> CSQOptions:
        """As in Dubey et al.'s code: the logarithm of a rounded probability, centers with possible repeats."""
        return cls(form="published", centers="redrawn")


class CSQ(CenterBasedFramework):
    """L = BCE((t + 1) / 2, (c + 1) / 2) + quantization * mean((|t| - 1)^2), t = tanh(u), c the item's center.

    An item with several labels has the majority of their centers; a vector drawn once from the seed decides even
    votes, and is the center of items without labels.
    """

    Options = CSQOptions

    @property
    def is_pointwise(self) -> bool:
        """Each image has its own center."""
        return True

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (no bank)
        """Central similarity (equation 4 of the paper) and quantization (equation 6, in its published square)."""
        activated = features.tanh()
        probability = ((1 - self.options.smoothing) * self.centers_of(labels) + 1) / 2  # (b, bits)
        if self.options.form == "logits":  # (tanh u + 1) / 2 = sigmoid(2 u)
            similarity = functional.binary_cross_entropy_with_logits(2 * features, probability)
        else:
            similarity = functional.binary_cross_entropy((activated + 1) / 2, probability)
        quantization: float = self.options.quantization
        return similarity + quantization * (activated.abs() - 1).square().mean()
