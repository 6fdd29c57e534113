"""DSH: a contrastive loss with a margin on squared distances of features, and a regularizer toward -1 and +1.

Paper: Liu et al., Deep Supervised Hashing for Fast Image Retrieval, CVPR 2016,
https://openaccess.thecvf.com/content_cvpr_2016/html/Liu_Deep_Supervised_Hashing_CVPR_2016_paper.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions
from vtsearch.frameworks.similarity import squared_distances

if TYPE_CHECKING:
    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class DSHOptions(WeightedPairOptions):
    """Options of DSH."""

    margin: float = 2.0
    """Squared distance, per bit, beyond which dissimilar pairs have no loss: the paper's m = 2 * bits."""
    quantization: float = 0.1
    """Weight of the regularizer, the paper's alpha, which is 0.01 with reduction "sum"."""
    regularizer: Literal["absolute", "published"] = "absolute"
    """Distance of a value from its sign: ||u| - 1|; "published" is |1 - sign(u)|, which has no gradient."""
    reduction: Literal["mean", "sum"] = "mean"
    """Mean of the regularizer over the bits of an image, or their sum, as in the paper."""

    def __post_init__(self) -> None:
        check_options(self)

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        found = super().without_effect(facts)
        if not self.quantization:
            found |= dict.fromkeys(("regularizer", "reduction"), "quantization is 0")
        elif self.regularizer == "published":
            found |= dict.fromkeys(("quantization", "reduction"), "regularizer 'published' has no gradient")
        return found

    @classmethod
    def published(cls) -> DSHOptions:
        """As in Dubey et al.'s code: a regularizer without gradient, unseen rows of the bank dissimilar."""
        return cls(regularizer="published", unseen="dissimilar")


class DSH(PairwiseFramework):
    """L = mean over pairs of (s D + (1 - s) max(m - D, 0)) / 2 + quantization * mean(||u| - 1|), D = |u - u'|^2.

    s is 1 where the two images share a label, else 0.
    """

    Options = DSHOptions

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The contrastive loss (the paper's relaxed objective)."""
        margin: float = self.options.margin * self.bits
        distances = squared_distances(left, right)
        return (similarity * distances + (1 - similarity) * (margin - distances).clamp(min=0)) / 2

    def quantization_errors(self, features: Tensor) -> Tensor:
        """The regularizer, of each bit."""
        if self.options.regularizer == "published":
            return (1 - features.sign()).abs()
        return (features.abs() - 1).abs()

    def quantization_weight(self) -> float:
        """The weight of the regularizer's mean over bits, or of its sum."""
        return super().quantization_weight() * (self.bits if self.options.reduction == "sum" else 1)
