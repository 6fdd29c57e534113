"""DBDH: a pairwise likelihood on inner products of features cut to -1 and +1, and as many bits of each value in a code.

Paper: Zheng et al., Deep Balanced Discrete Hashing for Image Retrieval, Neurocomputing 2020. The formula is that of the
collection DeepHash-pytorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions
from vtsearch.frameworks.similarity import pairwise_loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DBDHOptions(WeightedPairOptions):
    """Options of DBDH."""

    balance: float = 0.1
    """Weight of the mean, over images, of the square of the mean bit."""
    balance_form: Literal["squared", "absolute"] = "squared"
    """The square of the mean bit of an image, or its absolute value."""

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def published(cls) -> DBDHOptions:
        """As in the DeepHash-pytorch collection: unseen rows of the bank dissimilar."""
        return cls(unseen="dissimilar")


class DBDH(PairwiseFramework):
    """L = mean over pairs of log(1 + exp(x)) - s x + balance * mean over images of (mean of v)^2, x = <v, v'> / 2.

    v is u cut to -1 and +1, beyond which a bit has no gradient; s is 1 where the two images share a label, else 0.
    """

    Options = DBDHOptions

    def activate(self, features: Tensor) -> Tensor:
        """The features, cut to -1 and +1."""
        return features.clamp(-1, 1)

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The negative log-likelihood of the pairs."""
        return pairwise_loss(left @ right.T / 2, similarity)

    def quantization_errors(self, features: Tensor) -> Tensor:
        """How far each image is from as many bits of one value as of the other, (b,)."""
        means = features.mean(dim=1)
        return means.square() if self.options.balance_form == "squared" else means.abs()

    def quantization_weight(self) -> float:
        """The weight of the balance."""
        weight: float = self.options.balance
        return weight
