"""DPN: each bit of a class has a target, and a feature is pushed until it is on the target's side by a margin.

Paper: Fan et al., Deep Polarized Network for Supervised Learning of Accurate Binary Hashing Codes, IJCAI 2020,
https://www.ijcai.org/proceedings/2020/115.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from vtsearch.frameworks.bank import Bank
from vtsearch.frameworks.base import check_options, first_label
from vtsearch.frameworks.centers import CenterBasedFramework, Construction

if TYPE_CHECKING:
    from typing import Any, Self

    from torch import Tensor


@dataclass(frozen=True)
class DPNOptions:
    """Options of DPN."""

    margin: float = 1.0
    """How far on the right side a feature must be to cost nothing (equation 1); above 0."""
    centers: Construction = "distant"
    """How classes get their targets. "distant": no two alike, as far apart as we can make them. "balanced": drawn at
    random with half of the bits -1, as published, so that two classes may get the same. "bernoulli": fair coins, as
    the authors'. "redrawn": as CSQ's published code."""
    multi_label: Literal["majority", "each", "first"] = "majority"
    """What an item with several labels is pushed to: the "majority" of their targets; "each" of them, the losses added
    up, as in the authors' code; the target of the "first" label."""
    over_bits: Literal["mean", "sum"] = "mean"
    """Whether the loss of an item is the mean over its bits or, as in the authors' code, their sum."""
    shrinkage: float = 0.0
    """Weight of mean(u^2), which the authors' code offers and recommends at 0.001; at least 0."""
    ternary: bool = False
    """Whether features within the margin are set to 0 and the others to their sign before the loss: no gradient is
    left, as published for the variant "-T". The authors do so at test time alone."""
    update: Literal["never", "closest", "ternary"] = "never"
    """How targets follow the features of the last epoch (section 3.3). "closest": to the majority of the class's
    closest codes, as in the authors' code. "ternary": to the sign of the class's sum of ternary features, as published
    for the variant "-A", where an even vote gives 0, which nothing can be pushed to."""
    update_every: int = 1
    """Epochs between two updates, at least 1."""
    update_share: float = 1.0
    """Share of a class's images, those closest to its target, that vote in the update "closest"; above 0, at most 1."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("margin", "update_every", "update_share"))
        if self.update_share > 1:
            raise ValueError(f"update_share: expected at most 1, got {self.update_share}")

    @classmethod
    def published(cls) -> Self:
        """The options of the public code of Vision Transformer Hashing (ICME 2022)."""
        return cls(centers="balanced")


class DPN(CenterBasedFramework):
    """L = mean(max(margin - u t, 0)), t in {-1, +1} the item's target.

    An item with several labels has the majority of their targets; even votes take a vector that is drawn once from the
    seed. That also is the target of an item without labels.
    """

    Options = DPNOptions

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        self.bank = None if self.options.update == "never" else Bank(train_size, bits, classes)

    def start_epoch(self, epoch: int) -> None:
        """Update the targets from the features of the last epoch."""
        if self.bank is None or epoch == 0 or epoch % self.options.update_every:
            return
        if self.options.update == "ternary":
            features = ternary(self.bank.features, self.options.margin)
            self.centers.copy_((self.bank.labels.T @ features).sign())
        else:
            self.centers.copy_(followed_centers(self.centers, self.bank, self.options.update_share))

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The polarization loss (equation 1) of each item's target or targets."""
        if self.bank is not None:
            self.bank.remember(features, labels, positions)
        polarized = ternary(features, self.options.margin) if self.options.ternary else features
        costs = self._costs(polarized, labels)  # (b, bits)
        cost = costs.mean() if self.options.over_bits == "mean" else costs.sum(dim=1).mean()
        shrinkage: float = self.options.shrinkage
        return cost + shrinkage * features.square().mean() if shrinkage else cost

    def _costs(self, features: Tensor, labels: Tensor) -> Tensor:
        centers, margin = self.centers.to(features.dtype), self.options.margin
        if self.options.multi_label == "each":
            costs = functional.relu(margin - features[:, None] * centers)  # (b, classes, bits)
            return torch.einsum("bc,bck->bk", labels, costs)
        targets = self.centers_of(labels)
        if self.options.update == "ternary":  # one label's 0 stays, as published
            alone = first_label(labels) if self.options.multi_label == "first" else labels
            targets = torch.where(alone.sum(dim=1, keepdim=True) == 1, alone @ centers, targets)
        return functional.relu(margin - features * targets)


def ternary(features: Tensor, margin: float) -> Tensor:
    """The sign of features beyond the margin, 0 for the others; its gradient is 0 everywhere. Any shape."""
    return features.sign() * (features.abs() > margin)


def followed_centers(centers: Tensor, bank: Bank, share: float) -> Tensor:
    """Centers (classes, bits), each moved to the majority of the remembered codes of its class that are closest to it.

    A bit whose vote is even stays as it is, and so does the center of a class that nobody has seen.
    """
    moved = centers.clone()
    for number, center in enumerate(centers):
        codes = bank.features[bank.seen & (bank.labels[:, number] > 0)].sign()  # (m, bits)
        order = (codes @ center).argsort(descending=True, stable=True)
        votes = codes[order[: max(round(share * len(codes)), 1)]].sum(dim=0)
        moved[number] = torch.where(votes == 0, center, votes.sign())
    return moved
