"""DHN: a pairwise likelihood on inner products of features, and a smooth penalty toward -1 and +1.

Paper: Zhu et al., Deep Hashing Network for Efficient Similarity Retrieval, AAAI 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch.nn import functional

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions
from vtsearch.frameworks.similarity import cosines, pairwise_loss

if TYPE_CHECKING:
    from torch import Tensor

COSINE_FACTOR = 10.0  # of the authors' TensorFlow code


@dataclass(frozen=True)
class DHNOptions(WeightedPairOptions):
    """Options of DHN."""

    quantization: float = 0.1
    """Weight of the quantization term mean(log cosh(|u| - 1)), the paper's lambda."""
    product: Literal["inner", "cosine"] = "inner"
    """Logits of the likelihood: half the inner product of the features, as in the paper; or ten times the cosine of
    tanh(u), as in the authors' later code."""

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def published(cls) -> DHNOptions:
        """As in the DeepHash-pytorch collection: unseen rows of the bank dissimilar."""
        return cls(unseen="dissimilar")


class DHN(PairwiseFramework):
    """L = mean over pairs of log(1 + exp(x)) - s x + quantization * mean(log cosh(|u| - 1)), x = <u, u'> / 2.

    s is 1 where the two images share a label, else 0.
    """

    Options = DHNOptions

    def activate(self, features: Tensor) -> Tensor:
        """Tanh under cosine products."""
        return features.tanh() if self.options.product == "cosine" else features

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """Pairwise cross-entropy."""
        cosine = self.options.product == "cosine"
        logits = COSINE_FACTOR * cosines(left, right) if cosine else left @ right.T / 2
        return pairwise_loss(logits, similarity)

    def quantization_errors(self, features: Tensor) -> Tensor:
        """The smooth penalty log cosh(|u| - 1) of each bit."""
        return log_cosh(features.abs() - 1)


def log_cosh(values: Tensor) -> Tensor:
    """log(cosh(x)), also for x with an overflowing cosh(x)."""
    size = values.abs()
    return size + functional.softplus(-2 * size) - math.log(2)
