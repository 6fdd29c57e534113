"""DCH: a pairwise likelihood with a Cauchy distribution of distances, which concentrates similar codes.

Paper: Cao et al., Deep Cauchy Hashing for Hamming Space Retrieval, CVPR 2018,
https://openaccess.thecvf.com/content_cvpr_2018/html/Cao_Deep_Cauchy_Hashing_CVPR_2018_paper.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import Pairs, PairwiseFramework, WeightedPairOptions, Weights
from vtsearch.frameworks.similarity import cosines, squared_distances

if TYPE_CHECKING:
    from torch import Tensor

NEAREST = 1e-3  # added to distances: the loss of a dissimilar pair grows with -log(d)
LARGEST_COSINE = 0.99  # of the published code


@dataclass(frozen=True)
class DCHOptions(WeightedPairOptions):
    """Options of DCH."""

    pairs: Pairs = "distinct"
    """Pairs of a batch: "bank", with the last features of the whole training set; "batch", within the batch, each image
    with itself included; "distinct", the same without those, as in the paper; "halves", its first half with its
    second."""
    gamma: float = 20.0
    """Scale of the Cauchy distribution: the distance at which the probability of a shared label is one half."""
    quantization: float = 0.1
    """Weight of the quantization term, the paper's lambda (equation 7)."""
    distance: Literal["cosine", "clamped", "euclidean"] = "cosine"
    """Distance of two images: "cosine", bits / 2 * (1 - cos(u, u')) (equation 6) + 0.001, finite losses for equal
    features; "clamped" clamps the cosine to 0.99 instead, as published, without gradient for close pairs;
    "euclidean", |tanh u - tanh u'|^2 + 0.001, as in the authors' code."""
    weights: Weights = "balanced"
    """Weights of the pairs: "balanced", the same total for similar and dissimilar pairs (equation 2); "equal" for all;
    "similar", 1 for dissimilar pairs and the number of pairs per similar pair for similar ones."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("gamma",))

    @classmethod
    def published(cls) -> DCHOptions:
        """As in the DeepHash-pytorch collection: cosines clamped to 0.99, each image paired with itself."""
        return cls(distance="clamped", pairs="batch")


class DCH(PairwiseFramework):
    """L = mean over similar pairs of log(1 + d / g) + mean over dissimilar pairs of log(1 + g / d) + quantization * Q.

    Q is the mean of log(1 + d(|u|, 1) / g) over images; g is gamma.
    """

    Options = DCHOptions

    def activate(self, features: Tensor) -> Tensor:
        """Tanh under Euclidean distances."""
        return features.tanh() if self.options.distance == "euclidean" else features

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The Cauchy cross-entropy (equation 8)."""
        ratios = self._distances(left, right) / self.options.gamma
        return torch.where(similarity > 0, ratios, 1 / ratios).log1p()

    def quantization_errors(self, features: Tensor) -> Tensor:
        """The Cauchy quantization loss of each image (equation 9), (b, 1)."""
        gamma: float = self.options.gamma
        return (self._distances(features.abs(), torch.ones_like(features[:1])) / gamma).log1p()

    def _distances(self, features: Tensor, others: Tensor) -> Tensor:
        """(b, bits) and (n, bits) -> (b, n), all above 0."""
        if self.options.distance == "euclidean":
            return squared_distances(features, others) + NEAREST
        cosine = cosines(features, others)
        if self.options.distance == "clamped":
            return (1 - cosine.clamp(max=LARGEST_COSINE)) * self.bits / 2
        return (1 - cosine.clamp(max=1)) * self.bits / 2 + NEAREST
