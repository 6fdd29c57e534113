"""Bi-half: codes that keep the cosines of the backbone's features, with each bit set in half of the batch; no labels.

Paper: Li and van Gemert, Deep Unsupervised Image Hashing by Maximizing Bit Entropy, AAAI 2021,
https://arxiv.org/abs/2012.12334, and its public code, from which the gradient of the layer is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from vtsearch.frameworks.base import Framework, check_options
from vtsearch.frameworks.greedyhash import straight_through
from vtsearch.frameworks.similarity import cosines
from vtsearch.tensors.distributed import gather_batch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BiHalfOptions:
    """Options of bi-half."""

    gamma: float = 6.0
    """Pull of the features towards the codes of the layer, beside the gradient that passes through it; at least 0. 6 in
    the authors' code."""
    pairs: Literal["distinct", "matched"] = "distinct"
    """Pairs of a batch: "distinct", each image with each other one; "matched", each image of the first half with the
    one at its place in the second, as in the authors' code."""

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def published(cls) -> BiHalfOptions:
        """As in the authors' code."""
        return cls(pairs="matched")


class BiHalf(Framework):
    """L = mean over pairs of (cos(b, b') - cos(x, x'))^2 + gamma / 2 * mean((u - b)^2), b the codes of the batch.

    x are the backbone's features, which have no gradient. A bit of b is +1 for the half of the batch with the larger
    features u, of an odd number the smaller half, else -1; its derivative is taken to be 1. With the second term the
    gradient is that of the authors' layer, g + gamma * (u - b) / (b * bits). The batch is that of all processes.
    """

    Options = BiHalfOptions
    is_supervised: ClassVar[bool] = False
    compares_inputs: ClassVar[bool] = True

    def loss(
        self,
        features: Tensor,
        labels: Tensor,  # noqa: ARG002 (unsupervised)
        positions: Tensor,  # noqa: ARG002 (no bank)
        inputs: Tensor | None = None,
    ) -> Tensor:
        """The differences of the cosines of codes and of inputs, and the pull towards the codes."""
        assert inputs is not None  # the base class has checked it
        features, inputs = gather_batch(features), gather_batch(inputs)
        codes = bi_half(features.detach())
        through = straight_through(codes, features)
        errors = (cosines(through, through) - cosines(inputs, inputs)).square()  # (n, n)
        gamma: float = self.options.gamma
        return self._mean_over_pairs(errors) + gamma / 2 * (features - codes).square().mean()

    def _mean_over_pairs(self, errors: Tensor) -> Tensor:
        """The mean of the errors (n, n) of all pairs; 0 for a single image."""
        count = len(errors)
        if self.options.pairs == "matched":
            half = count // 2
            return errors[:half, half : 2 * half].diagonal().sum() / max(half, 1)
        exists = 1 - torch.eye(count, dtype=errors.dtype, device=errors.device)
        return (errors * exists).sum() / max(count * (count - 1), 1)


def bi_half(features: Tensor) -> Tensor:
    """(n, bits) -> +1 for the n // 2 largest features of each column, -1 for the others; the earlier of equal ones."""
    order = features.argsort(dim=0, descending=True, stable=True)
    codes = torch.full_like(features, -1.0)
    return codes.scatter_(0, order[: len(features) // 2], 1.0)
