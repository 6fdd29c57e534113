"""DHN: inner products tell whether two images share a label; a smooth penalty draws each value to -1 or +1.

Paper: Zhu et al., Deep Hashing Network for Efficient Similarity Retrieval, AAAI 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch.nn import functional

from vtsearch.frameworks.option_checks import check_options
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions, pair_mean
from vtsearch.frameworks.similarity import cosines, pairwise_loss, share_a_label
from vtsearch.tensors.distributed import mean

if TYPE_CHECKING:
    from torch import Tensor

COSINE_FACTOR = 10.0  # of the authors' TensorFlow code


@dataclass(frozen=True)
class DHNOptions(WeightedPairOptions):
    """Options of DHN."""

    quantization: float = 0.1
    """Weight of the quantization term mean(log cosh(|u| - 1)), the paper's lambda."""
    product: Literal["inner", "cosine"] = "inner"
    """What the likelihood is of: half the inner product of the features, as in the paper; or ten times the cosine of
    tanh(u), as in the authors' later code."""

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def published(cls) -> DHNOptions:
        """As in the DeepHash-pytorch collection: unseen rows of the bank are dissimilar."""
        return cls(unseen="dissimilar")


class DHN(PairwiseFramework):
    """L = mean over pairs of log(1 + exp(x)) - s x + quantization * mean(log cosh(|u| - 1)), x = <u, u'> / 2.

    s is 1 where the two images share a label, else 0.
    """

    Options = DHNOptions

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """Pairwise cross-entropy and pairwise quantization."""
        inner = self.options.product == "inner"
        features = features if inner else features.tanh()
        sides = self.sides(features, labels, positions)
        similar = share_a_label(sides.left_labels, sides.right_labels)  # (b, n)
        logits = sides.left @ sides.right.T / 2 if inner else COSINE_FACTOR * cosines(sides.left, sides.right)
        likelihood = pair_mean(pairwise_loss(logits, similar), similar, sides.exists, self.options.weights)
        quantization: float = self.options.quantization
        return likelihood + quantization * mean(log_cosh(features.abs() - 1))


def log_cosh(values: Tensor) -> Tensor:
    """log(cosh(x)), where cosh(x) itself overflows too."""
    size = values.abs()
    return size + functional.softplus(-2 * size) - math.log(2)
