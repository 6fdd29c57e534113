"""DPSH: a pairwise likelihood on inner products of features, and their squared distance from binary codes.

Paper: Li et al., Feature Learning based Deep Supervised Hashing with Pairwise Labels, IJCAI 2016,
https://arxiv.org/abs/1511.03855.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions
from vtsearch.frameworks.similarity import pairwise_loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DPSHOptions(WeightedPairOptions):
    """Options of DPSH."""

    quantization: float = 0.1
    """Weight of the quantization term mean((u - sign(u))^2), the paper's eta over a mean instead of a sum."""

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def published(cls) -> DPSHOptions:
        """As in the DeepHash-pytorch collection: unseen rows of the bank dissimilar."""
        return cls(unseen="dissimilar")


class DPSH(PairwiseFramework):
    """L = mean over pairs of log(1 + exp(x)) - s x + quantization * mean((u - sign(u))^2), x = <u, u'> / 2.

    s is 1 where the two images share a label, else 0.
    """

    Options = DPSHOptions

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The negative log-likelihood of the pairs."""
        return pairwise_loss(left @ right.T / 2, similarity)

    def quantization_errors(self, features: Tensor) -> Tensor:
        """(u - sign(u))^2 of each bit."""
        return (features.abs() - 1).square()  # the same, with a sign that is never 0
