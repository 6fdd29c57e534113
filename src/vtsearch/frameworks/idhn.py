"""IDHN: a likelihood for pairs with all or no labels in common, a squared error of the similarity for the others.

Paper: Zhang et al., Improved Deep Hashing with Soft Pairwise Similarity for Multi-label Image Retrieval, IEEE
Transactions on Multimedia 2020, https://arxiv.org/abs/1803.02987.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions
from vtsearch.frameworks.similarity import pairwise_loss, shared_part

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts

HARD = 0.01  # pairs with a similarity this close to 0 or 1 are hard


@dataclass(frozen=True)
class IDHNOptions(WeightedPairOptions):
    """Options of IDHN."""

    scale: float | Literal["5/bits"] = "5/bits"
    """Factor of the inner products in the likelihood of hard pairs; "5/bits" is the authors' rule, 0.5 for all
    lengths that of the published code."""
    soft: Literal["similarity", "published"] = "similarity"
    """Loss of soft pairs, p = <h, h'>: bits * ((p + bits) / (2 bits) - s)^2, which is 0 at p = bits * (2s - 1);
    "published" is (scale * p + bits - 2 bits s)^2, out of reach of 0 for most pairs, with 4 * bits times the weight."""
    soft_weight: float = 0.1
    """Weight of soft pairs against hard ones, the paper's gamma."""
    quantization: float = 0.1
    """Weight of the quantization term mean(||h| - 1|), the paper's alpha."""
    label_epsilon: float = 0.0
    """Addend of |y| |y'| in the similarity <y, y'> / (|y| |y'|): 0 is exact, 1e-5 that of the published code."""

    def __post_init__(self) -> None:
        check_options(self)

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        soft = ("soft", "soft_weight", "label_epsilon")
        found = (
            dict.fromkeys(soft, "each image has one label, so that all pairs are hard") if facts.single_labels else {}
        )
        return super().without_effect(facts) | found

    @classmethod
    def published(cls) -> IDHNOptions:
        """As in Dubey et al.'s code: scaled product and missing 1 / (4 bits) in the soft term, scale 0.5."""
        return cls(scale=0.5, soft="published", label_epsilon=1e-5, unseen="dissimilar")


class IDHN(PairwiseFramework):
    """L = mean over pairs of l + quantization * mean(||h| - 1|), h = u / (1 + |u|), s the cosine of two label rows.

    Hard pairs, s = 0 or 1, have l = log(1 + exp(x)) - s x with x = scale <h, h'>; all others, the soft ones,
    l = soft_weight * bits * ((<h, h'> + bits) / (2 bits) - s)^2. s is 0 for an item without labels.
    """

    Options = IDHNOptions

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        self.scale = 5 / bits if self.options.scale == "5/bits" else float(self.options.scale)

    def activate(self, features: Tensor) -> Tensor:
        """Softsign: h = u / (1 + |u|)."""
        return functional.softsign(features)

    def similarity(self, labels: Tensor, others: Tensor) -> Tensor:
        """The cosine of two label rows."""
        return shared_part(labels, others, self.options.label_epsilon)

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The likelihood of hard pairs, the square error of soft ones."""
        products = left @ right.T
        is_hard = (similarity < HARD) | (similarity > 1 - HARD)
        hard = pairwise_loss(self.scale * products, similarity)
        return torch.where(is_hard, hard, self._soft(products, similarity))

    def quantization_errors(self, features: Tensor) -> Tensor:
        """||h| - 1| of each bit."""
        return (features.abs() - 1).abs()

    def _soft(self, products: Tensor, similarity: Tensor) -> Tensor:
        weight: float = self.options.soft_weight
        if self.options.soft == "published":
            return weight * (self.scale * products + self.bits - 2 * self.bits * similarity).square()
        return weight * self.bits * ((products + self.bits) / (2 * self.bits) - similarity).square()
