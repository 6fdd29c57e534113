"""CIBHash: codes by which two views of an image find each other among those of other images; no labels.

Paper: Qiu et al., Unsupervised Hashing with Contrastive Information Bottleneck, IJCAI 2021,
https://arxiv.org/abs/2105.06138, and its public code, from which the gradients are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.base import Framework, check_options
from vtsearch.frameworks.greedyhash import straight_through
from vtsearch.frameworks.similarity import cosines
from vtsearch.tensors.distributed import gather_batch, mean

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CIBHashOptions:
    """Options of CIBHash."""

    temperature: float = 0.3
    """Divisor of the cosines of codes; above 0."""
    beta: float = 0.001
    """Weight of the divergence between the bits' probabilities in both views; at least 0."""
    codes: Literal["drawn", "rounded"] = "drawn"
    """Codes in training: "drawn", each bit +1 with the probability sigmoid(u), as in the paper; "rounded", the signs of
    u, as in the authors' code."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("temperature",))

    @classmethod
    def published(cls) -> CIBHashOptions:
        """As in the authors' code."""
        return cls(codes="rounded")


class CIBHash(Framework):
    """L = mean over views of -log softmax(cos(b, b') / temperature) at the image's other view + beta * KL.

    The softmax is over all other views in the batch, that of all processes. p = sigmoid(u) is the probability that a
    bit of the code b is +1; the derivative of b by p is taken to be 1. KL is the mean over images of the sums
    over bits of (KL(p | p') + KL(p' | p)) / 2; p' in the first and p in the second have no gradient.
    """

    Options = CIBHashOptions
    is_supervised: ClassVar[bool] = False
    views: ClassVar[int] = 2

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (unsupervised)
        """The contrast of the codes and the divergence of their probabilities."""
        first, second = (gather_batch(codes) for codes in self._codes(features).chunk(2))
        beta: float = self.options.beta
        return self._contrast(first, second) + beta * _divergence(*features.chunk(2))

    def _codes(self, features: Tensor) -> Tensor:
        """(2 b, bits) of -1 and +1, with the gradient of their probabilities."""
        probabilities = features.sigmoid()
        limits = torch.rand_like(probabilities) if self.options.codes == "drawn" else 0.5
        return straight_through(torch.where(probabilities > limits, 1.0, -1.0).to(features.dtype), probabilities)

    def _contrast(self, first: Tensor, second: Tensor) -> Tensor:
        """The normalized, temperature-scaled cross-entropy of both views, (n, bits) each."""
        codes = torch.cat([first, second])
        logits = cosines(codes, codes) / self.options.temperature
        own = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        other_view = torch.arange(len(codes), device=codes.device).roll(len(first))
        return functional.cross_entropy(logits.masked_fill(own, -torch.inf), other_view)


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """The mean over images of the symmetric divergence of bits with the logits (b, bits), in all processes."""
    both = _divergences(first, second.detach()) + _divergences(second, first.detach())
    return mean(both.sum(dim=1)) / 2


def _divergences(logits: Tensor, others: Tensor) -> Tensor:
    """KL(p | p') of bits that are +1 with the probabilities p = sigmoid(logits) and p' = sigmoid(others)."""
    probabilities = logits.sigmoid()
    set_ = functional.logsigmoid(logits) - functional.logsigmoid(others)
    unset = functional.logsigmoid(-logits) - functional.logsigmoid(-others)
    return probabilities * set_ + (1 - probabilities) * unset
