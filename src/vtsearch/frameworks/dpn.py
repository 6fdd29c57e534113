"""DPN: a hinge loss of each feature against the target bits of its class.

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

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class DPNOptions:
    """Options of DPN."""

    margin: float = 1.0
    """Margin on the side of the target; features beyond it have no loss (equation 1); above 0."""
    centers: Construction = "distant"
    """Construction of the targets. "distant": distinct, at the largest distance found. "balanced": random with half of
    the bits -1, as published, possibly with repeats. "bernoulli": fair coins, as in the authors' code. "redrawn": as in
    CSQ's published code."""
    multi_label: Literal["majority", "each", "first"] = "majority"
    """Target of an item with several labels: the "majority" of their targets; "each" of them, with losses added up, as
    in the authors' code; that of the "first" label."""
    over_bits: Literal["mean", "sum"] = "mean"
    """Loss of an item: the mean over its bits or, as in the authors' code, their sum."""
    shrinkage: float = 0.0
    """Weight of mean(u^2), an option of the authors' code with 0.001 recommended; at least 0."""
    ternary: bool = False
    """Whether to replace features within the margin by 0 and others by their sign before the loss, without any
    gradient, as published for the variant "-T". The authors do so at test time only."""
    update: Literal["never", "closest", "ternary"] = "never"
    """Update of the targets from the features of the last epoch (section 3.3). "closest": the majority of the class's
    closest codes, as in the authors' code. "ternary": the sign of the class's sum of ternary features, as published for
    the variant "-A"; an even vote gives a target of 0, with a constant loss."""
    update_every: int = 1
    """Epochs between two updates, at least 1."""
    update_share: float = 1.0
    """Share of a class's images, those closest to its target, in the vote of "closest"; above 0, at most 1."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("margin", "update_share"), at_least_one=("update_every",))
        if self.update_share > 1:
            raise ValueError(f"update_share: expected at most 1, got {self.update_share}")

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        found = {"multi_label": "each image has one label"} if facts.single_labels else {}
        if self.update == "never":
            found["update_every"] = "update is 'never'"
        if self.update != "closest":
            found["update_share"] = f"update is {self.update!r}"
        return found

    @classmethod
    def published(cls) -> Self:
        """The options of the public code of Vision Transformer Hashing (ICME 2022)."""
        return cls(centers="balanced")


class DPN(CenterBasedFramework):
    """L = mean(max(margin - u t, 0)), t in {-1, +1} the item's target.

    An item with several labels has the majority of their targets; a vector drawn once from the seed decides even votes,
    and is the target of items without labels.
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

    @property
    def is_pointwise(self) -> bool:
        """Each image has its own target, unless targets follow remembered features."""
        return self.bank is None

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The polarization loss (equation 1) of each item's target or targets."""
        if self.bank is not None:
            self.bank.update(features, labels, positions)
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
    """Centers (classes, bits), each moved to the majority of the closest codes of its class in the bank.

    Bits with an even vote and centers of classes not yet seen are unchanged.
    """
    moved = centers.clone()
    for number, center in enumerate(centers):
        codes = bank.features[bank.seen & (bank.labels[:, number] > 0)].sign()  # (m, bits)
        order = (codes @ center).argsort(descending=True, stable=True)
        votes = codes[order[: max(round(share * len(codes)), 1)]].sum(dim=0)
        moved[number] = torch.where(votes == 0, center, votes.sign())
    return moved
