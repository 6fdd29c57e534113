"""DFH: Fisher's criterion for codes: a margin loss over pairs, and codes near the centers of their labels.

Paper: Li et al., Push for Quantization: Deep Fisher Hashing, BMVC 2019, https://arxiv.org/abs/1909.00206.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.base import check_options, label_shares
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions
from vtsearch.tensors.distributed import gather_batch, mean

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts

STEPS = 200  # gradient steps of the centers per batch
RATES = {0: 0.03, 149: 0.003, 179: 0.0003}  # step -> learning rate of the centers from there on


@dataclass(frozen=True)
class DFHOptions(WeightedPairOptions):
    """Options of DFH."""

    margin: float = 3.0
    """Margin of half the inner product above 0 (below for dissimilar pairs), the paper's m; 0 in the authors' code."""
    pull: float = 0.1
    """Weight of the label's center against the features in an image's code, mu; 1 in the authors' code."""
    separation: float = 1.0
    """Weight of the distances between centers, vul."""
    center_quantization: float = 1.0
    """Weight of the centers' distance to their signs, nta."""
    quantization: float = 0.5
    """Weight of the features' distance to their code, eta."""
    several_labels: Literal["mean", "sum"] = "mean"
    """Target of an image with several labels: the mean of their centers, which is in reach of codes, or their sum, as
    published."""
    products: Literal["exact", "clamped"] = "exact"
    """Half the inner products, exact or clamped to -100 to 50, as published, without gradient for pairs beyond."""
    center_rate: Literal["stable", "published"] = "stable"
    """Learning rate of the centers: 0.03 and its tenths; "stable" lowers it where the descent would diverge (few
    classes with many bits: 2 with 48, 10 with 256), "published" does not and gives NaN centers there."""

    def __post_init__(self) -> None:
        check_options(self)

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        found = {"several_labels": "each image has one label"} if facts.single_labels else {}
        if not self.quantization:
            of_centers = ("pull", "separation", "center_quantization", "several_labels", "center_rate")
            found |= dict.fromkeys(of_centers, "quantization is 0")
        return super().without_effect(facts) | found

    @classmethod
    def published(cls) -> DFHOptions:
        """As in the DeepHash-pytorch collection: clamped products, sums of centers, unseen rows dissimilar."""
        return cls(products="clamped", several_labels="sum", center_rate="published", unseen="dissimilar")


class DFH(PairwiseFramework):
    """L = mean over pairs of l + quantization * mean((code - u)^2), x = <u, u'> / 2.

    l is log(1 + exp(margin - x)) where the two images share a label, else log(1 + exp(margin + x)). An image's code is
    sign(pull * sign(its label's center) + u). The centers start at 0; after the codes of each batch, 200 steps of
    gradient descent fit them to these codes, to distances from each other and to their own signs.
    """

    Options = DFHOptions
    centers: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        self.register_buffer("centers", torch.zeros(classes, bits))

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The pair term plus the weighted distance from the codes, with an update of the centers."""
        pair_term = self.pair_term(self.sides(features, labels, positions))
        codes = self._codes(features, labels)
        return pair_term + self.quantization_weight() * mean((codes - features).square())

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The margin loss of the pairs."""
        products = left @ right.T / 2
        if self.options.products == "clamped":
            products = products.clamp(min=-100, max=50)
        return functional.softplus(self.options.margin + (1 - 2 * similarity) * products)

    @torch.no_grad()
    def _codes(self, features: Tensor, labels: Tensor) -> Tensor:
        """The codes of a batch (b, bits) of -1 and +1 under the current centers, which are then fitted to them."""
        if self.options.several_labels == "mean":
            labels = label_shares(labels)
        centers = self.centers.to(features.dtype)
        pulled = self.options.pull * labels @ centers.sign() + features
        codes = torch.where(pulled > 0, 1.0, -1.0).to(features.dtype)
        self.centers.copy_(self._descend(centers, gather_batch(labels), gather_batch(codes)))
        return codes

    def _descend(self, centers: Tensor, labels: Tensor, codes: Tensor) -> Tensor:
        """The centers (classes, bits) after gradient descent on all their distances, each a mean of squares.

        mean((labels @ C - codes)^2) + separation * mean((C @ C.T - T)^2) + center_quantization * mean((C - sign C)^2)
        with T = bits for a center with itself and -bits for two.
        """
        classes, bits = centers.shape
        target = bits * (2 * torch.eye(classes, dtype=centers.dtype, device=centers.device) - 1)
        separation = self.options.separation * 4 / classes**2
        to_sign = self.options.center_quantization * 2 / (classes * bits)
        gram, pull = labels.T @ labels * 2 / codes.numel(), labels.T @ codes * 2 / codes.numel()
        largest, rate = self._largest_rate(separation, to_sign, gram), 0.0
        for step in range(STEPS):
            rate = RATES.get(step, rate)
            slope = gram @ centers - pull
            slope += separation * (centers @ centers.T - target) @ centers
            slope += to_sign * (centers - centers.sign())
            centers = centers - largest.clamp(max=rate) * slope
        return centers

    def _largest_rate(self, separation: float, to_sign: float, gram: Tensor) -> Tensor:
        """1 / (a bound of the curvature): T's eigenvalues are 2 bits and (2 - classes) bits, C C^T comes near T."""
        if self.options.center_rate == "published":
            return gram.new_full((), math.inf)
        curvature = separation * self.bits * max(4, self.classes - 2) + to_sign + gram.trace()
        return 1 / curvature
