"""HashNet: pairs of images with a shared label have large inner products, in tanh that sharpens as training goes on.

Paper: Cao et al., HashNet: Deep Learning to Hash by Continuation, ICCV 2017, https://arxiv.org/abs/1702.00758.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from vtsearch.frameworks.bank import Bank
from vtsearch.frameworks.base import Framework
from vtsearch.frameworks.similarity import pairwise_loss, share_a_label

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


@dataclass(frozen=True)
class HashNetOptions:
    """What HashNet can be told."""

    alpha: float | Literal["10/bits"] = 0.1
    """Factor of the inner products in the likelihood (equation 2); "10/bits" is the authors' rule for all lengths."""
    pairs: Literal["bank", "batch", "halves"] = "bank"
    """Whom a batch is compared with: "bank", the last features of the whole training set; "batch", itself, each image
    with itself included; "halves", its first half with its second, as in the authors' code."""
    continuation: int = 20
    """Epochs between two steps of the scale: tanh(scale * u) with scale = sqrt(floor(epoch / continuation) + 1)
    (section 3.2). 0 leaves the scale at 1."""
    unseen: Literal["masked", "dissimilar"] = "masked"
    """Bank rows not yet visited: left out, or taken as dissimilar points at the origin, as published."""
    positive_weight: float | Literal["balanced"] = "balanced"
    """Weight of pairs that share a label (equation 4): "balanced" gives both kinds of pairs the same total weight; a
    number weighs against dissimilar pairs of weight 1, normalized by the sum of the weights."""

    def __post_init__(self) -> None:
        _check_number("alpha", self.alpha, "10/bits")
        _check_number("positive_weight", self.positive_weight, "balanced")
        if self.continuation < 0:
            raise ValueError(f"continuation: expected at least 0 epochs, got {self.continuation}")
        for name, choices in (("pairs", ("bank", "batch", "halves")), ("unseen", ("masked", "dissimilar"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")


class HashNet(Framework):
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
        self.bank = Bank(train_size, bits, classes) if self.options.pairs == "bank" else None

    def start_epoch(self, epoch: int) -> None:
        """Sharpen the tanh: scale = sqrt(floor(epoch / continuation) + 1)."""
        if self.options.continuation:
            self.scale.fill_(math.sqrt(epoch // self.options.continuation + 1))

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The weighted likelihood of the pairs (equations 2 to 4)."""
        activated = (self.scale.to(features.dtype) * features).tanh()  # (b, bits)
        left, left_labels, right, right_labels, exists = self._sides(activated, labels, positions)
        similar = share_a_label(left_labels, right_labels)  # (b, n)
        losses = pairwise_loss(self.alpha * (left @ right.T), similar)
        weights = similar * exists, (1 - similar) * exists
        sums = [(weight * losses).sum() for weight in weights]
        counts = [weight.sum() for weight in weights]
        if self.options.positive_weight == "balanced":
            return sum(
                (total / count.clamp(min=1) for total, count in zip(sums, counts, strict=True)), losses.new_zeros(())
            )
        positive = float(self.options.positive_weight)
        return (positive * sums[0] + sums[1]) / (positive * counts[0] + counts[1]).clamp(
            min=torch.finfo(losses.dtype).tiny
        )

    def _sides(
        self, activated: Tensor, labels: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features and labels of the left and right items of the pairs, and (n,) 1 where the right item exists."""
        if self.options.pairs == "halves":
            half = len(activated) // 2
            return activated[:half], labels[:half], activated[half:], labels[half:], labels.new_ones(len(labels) - half)
        if self.bank is None:
            return activated, labels, activated, labels, labels.new_ones(len(labels))
        self.bank.remember(activated, labels, positions)
        exists = self.bank.seen.to(labels.dtype)
        if self.options.unseen == "dissimilar":
            exists = torch.ones_like(exists)
        # Copies: the next step overwrites the bank, and the backward pass of this one may still be to come.
        return (
            activated,
            labels,
            self.bank.features.to(labels.dtype, copy=True),
            self.bank.labels.to(labels.dtype),
            exists,
        )


def _check_number(name: str, value: float | str, word: str) -> None:
    if value != word and (isinstance(value, str) or value <= 0):
        raise ValueError(f"{name}: expected a number above 0 or {word!r}, got {value!r}")
