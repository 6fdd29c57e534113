"""HashNet: a weighted pairwise likelihood on inner products of tanh(scale * u), with a scale that grows by epoch.

Paper: Cao et al., HashNet: Deep Learning to Hash by Continuation, ICCV 2017, https://arxiv.org/abs/1702.00758.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import PairOptions, PairwiseFramework, Weights
from vtsearch.frameworks.similarity import pairwise_loss

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class HashNetOptions(PairOptions):
    """Options of HashNet."""

    alpha: float | Literal["10/bits"] = 0.1
    """Factor of the inner products in the likelihood (equation 2); "10/bits" is the authors' rule for all lengths."""
    continuation: int = 20
    """Epochs between two steps of the scale: tanh(scale * u) with scale = sqrt(floor(epoch / continuation) + 1)
    (section 3.2). 0 leaves the scale at 1."""
    positive_weight: float | Literal["balanced"] = "balanced"
    """Weight of pairs with a shared label (equation 4): "balanced" gives both kinds of pairs the same total weight; a
    number is relative to dissimilar pairs of weight 1, normalized by the sum of the weights."""

    def __post_init__(self) -> None:
        check_options(self)

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        late = self.continuation >= facts.epochs
        step = {"continuation": f"the run ends after {facts.epochs} epochs, before the first step"} if late else {}
        return super().without_effect(facts) | step

    @classmethod
    def published(cls) -> HashNetOptions:
        """As in Dubey et al.'s code: unseen rows of the bank dissimilar, a constant scale of 1."""
        return cls(unseen="dissimilar", continuation=0)


class HashNet(PairwiseFramework):
    """L = weighted mean over pairs of log(1 + exp(x)) - s x, x = alpha <tanh(scale u), tanh(scale u')>.

    s is 1 where the two images share a label, else 0; with balanced weights the loss is the mean over similar pairs
    plus the mean over dissimilar pairs, and the mean of no pairs is 0.
    """

    Options = HashNetOptions
    scale: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        self.alpha = 10 / bits if self.options.alpha == "10/bits" else float(self.options.alpha)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def start_epoch(self, epoch: int) -> None:
        """Sharpen the tanh: scale = sqrt(floor(epoch / continuation) + 1)."""
        if self.options.continuation:
            self.scale.fill_(math.sqrt(epoch // self.options.continuation + 1))

    def activate(self, features: Tensor) -> Tensor:
        """tanh(scale * u)."""
        return (self.scale.to(features.dtype) * features).tanh()

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The negative log-likelihood of the pairs (equation 2)."""
        return pairwise_loss(self.alpha * (left @ right.T), similarity)

    def pair_weights(self) -> Weights | float:
        """Weights of equation 4, or a fixed one for similar pairs."""
        weight: Weights | float = self.options.positive_weight
        return "balanced" if weight == "balanced" else float(weight)
