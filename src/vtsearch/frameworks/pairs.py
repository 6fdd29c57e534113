"""Objectives over image pairs: how pairs are formed, and their losses averaged."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch

from vtsearch.frameworks.bank import Bank
from vtsearch.frameworks.base import Framework
from vtsearch.frameworks.similarity import share_a_label
from vtsearch.tensors.distributed import average, gather_batch, mean

if TYPE_CHECKING:
    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts

Pairs = Literal["bank", "batch", "distinct", "halves"]
Weights = Literal["equal", "balanced", "similar"]


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """Options shared by the frameworks over image pairs."""

    pairs: Pairs = "bank"
    """Pairs of a batch: "bank", with the last features of the whole training set; "batch", within the batch, each image
    with itself included; "distinct", the same without those; "halves", its first half with its second."""
    unseen: Literal["masked", "dissimilar"] = "masked"
    """Bank rows not yet visited: masked out, or treated as dissimilar points at the origin, as published."""

    def without_effect(self, facts: RunFacts) -> dict[str, str]:  # noqa: ARG002 (for options that depend on them)
        """Options that do nothing beside the others, or in such a run -> the reason."""
        return {} if self.pairs == "bank" else {"unseen": f"pairs is {self.pairs!r}, without a bank"}


@dataclass(frozen=True, kw_only=True)
class WeightedPairOptions(PairOptions):
    """Pair options with weights of similar pairs against dissimilar ones."""

    weights: Weights = "equal"
    """Weights of the pairs: "equal" for all; "balanced", the same total for similar and dissimilar pairs, which keeps
    features of many classes from collapsing; "similar", 1 for dissimilar pairs and the number of pairs per similar pair
    for similar ones, as in the authors' code of DHN and DCH."""


class Sides(NamedTuple):
    """The two sides of the pairs: each left item with each right one."""

    left: Tensor
    """(b, bits) features of the batch of this process, or of its first half."""
    left_labels: Tensor
    """(b, classes) of 0 and 1."""
    right: Tensor
    """(n, bits) features of the bank, or of the batches of all processes."""
    right_labels: Tensor
    """(n, classes) of 0 and 1."""
    exists: Tensor
    """(b, n) 1 for pairs in the loss, else 0."""


class PairwiseFramework(Framework):
    """L = mean over pairs of ``pair_losses`` + quantization weight * mean of ``quantization_errors``.

    The options extend ``PairOptions``; their fields ``weights`` and ``quantization`` are the weights of pairs and of
    the quantization term, unless ``pair_weights`` and ``quantization_weight`` are overridden. In several processes
    "batch", "distinct" and "halves" pair the images of one process with those of all.
    """

    bank: Bank | None

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        self.bank = Bank(train_size, bits, classes) if self.options.pairs == "bank" else None

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The pair term plus the weighted quantization term."""
        features = self.activate(features)
        pair_term = self.pair_term(self.sides(features, labels, positions))
        errors = self.quantization_errors(features)
        return pair_term if errors is None else pair_term + self.quantization_weight() * mean(errors)

    def pair_term(self, sides: Sides) -> Tensor:
        """The weighted mean of the losses of all pairs."""
        similarity = self.similarity(sides.left_labels, sides.right_labels)
        losses = self.pair_losses(sides.left, sides.right, similarity)
        return pair_mean(losses, similarity, sides.exists, self.pair_weights())

    @abstractmethod
    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """Losses (b, n) of pairs of activated features (b, bits) and (n, bits) with the given similarity (b, n)."""

    def quantization_errors(self, features: Tensor) -> Tensor | None:  # noqa: ARG002 (none by default)
        """Distance of activated features (b, bits) from binary codes, of any shape; None for no quantization term."""
        return None

    def activate(self, features: Tensor) -> Tensor:
        """Apply the activation of features, the identity by default. Any shape."""
        return features

    def similarity(self, labels: Tensor, others: Tensor) -> Tensor:
        """Similarity (b, n) of labels (b, classes) and (n, classes): 1 for a shared label, else 0, by default."""
        return share_a_label(labels, others)

    def pair_weights(self) -> Weights | float:
        """Weights of similar pairs against dissimilar ones, the argument of ``pair_mean``."""
        weights: Weights = self.options.weights
        return weights

    def quantization_weight(self) -> float:
        """Factor of the mean quantization error."""
        weight: float = self.options.quantization
        return weight

    def sides(self, features: Tensor, labels: Tensor, positions: Tensor) -> Sides:
        """The two sides of the pairs of a batch, after the bank has stored the batch.

        Args:
            features: (b, bits), activated.
            labels: (b, classes) of 0 and 1.
            positions: (b,) rows of the bank.
        """
        if self.bank is None:
            return self._within_the_batch(features, labels, positions)
        self.bank.update(features, labels, positions)
        exists = self.bank.seen if self.options.unseen == "masked" else torch.ones_like(self.bank.seen)
        # A copy: the next step may overwrite the bank before the backward pass of this one.
        bank = self.bank.features.to(labels.dtype, copy=True)
        return Sides(
            features, labels, bank, self.bank.labels.to(labels.dtype), exists.to(labels.dtype).expand(len(labels), -1)
        )

    def _within_the_batch(self, features: Tensor, labels: Tensor, positions: Tensor) -> Sides:
        half = len(features) // 2 if self.options.pairs == "halves" else None
        left, right = slice(half), slice(half, None)
        others, other_labels, other_positions = (gather_batch(part[right]) for part in (features, labels, positions))
        exists = labels.new_ones(len(features[left]), len(others))
        if self.options.pairs == "distinct":
            exists = (positions[:, None] != other_positions).to(labels.dtype)
        return Sides(features[left], labels[left], others, other_labels, exists)


def pair_mean(losses: Tensor, similarity: Tensor, exists: Tensor, weights: Weights | float) -> Tensor:
    """The weighted mean of the losses of all pairs, in all processes.

    Args:
        losses: (b, n), one per pair.
        similarity: (b, n), above 0 for similar pairs.
        exists: (b, n), 0 for pairs that are left out.
        weights: "equal" is the mean over pairs; "balanced" the mean over similar pairs plus the mean over dissimilar
            ones, where the mean of none is 0; "similar" the mean over pairs after the losses of similar ones were
            multiplied by n / (number of similar pairs), both counted with each image's pair with itself; a number the
            weight of similar pairs against 1, normalized by the sum of the weights.
    """
    if weights == "equal":
        return mean(losses, exists)
    similar = (similarity > 0).to(losses.dtype)
    if weights == "balanced":
        return mean(losses, similar * exists) + mean(losses, (1 - similar) * exists)
    if weights == "similar":
        share = average(similar.sum()) / average(torch.ones_like(similar).sum())
        return mean(losses * torch.where(similar > 0, 1 / share, 1), exists)
    return mean(losses, torch.where(similar > 0, weights, 1.0) * exists)
