"""GreedyHash: cross-entropy of a classifier on binary codes, with a straight-through gradient of the sign.

Paper: Su et al., Greedy Hash: Towards Fast Optimization for Accurate Hash Coding in CNN, NeurIPS 2018,
https://papers.nips.cc/paper/7360.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional

from vtsearch.frameworks.base import Framework, check_options, first_label, label_shares

if TYPE_CHECKING:
    from typing import Any, Self

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class GreedyHashOptions:
    """Options of GreedyHash."""

    alpha: float = 0.1
    """Weight of the penalty mean(||u| - 1|^3) (equation 9 with p = 3); at least 0. The authors use 0.1 for CIFAR-10 and
    1 for ImageNet."""
    classifier: Literal["trained", "frozen"] = "trained"
    """Whether to train the classifier's weights. "frozen" keeps them as drawn: the published code of the Vision
    Transformer experiments does not pass them to its optimizer."""
    multi_label: Literal["shared", "first"] = "shared"
    """Target of the classifier for an item with several labels: all of them, in equal shares; or the "first" only, as
    published."""
    smoothing: float = 0.0
    """Label smoothing of the classifier: the share of the target that is spread over all classes; below 1."""

    def __post_init__(self) -> None:
        check_options(self, below_one=("smoothing",))

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        return {"multi_label": "each image has one label"} if facts.single_labels else {}

    @classmethod
    def published(cls) -> Self:
        """The options of the public code of Vision Transformer Hashing (ICME 2022)."""
        return cls(alpha=0.1, classifier="frozen", multi_label="first")


class GreedyHash(Framework):
    """L = cross-entropy(W sign(u), labels) + alpha * mean(||u| - 1|^3), with a derivative of 1 for the sign.

    sign(0) is -1, as a feature of 0 is bit 0 of a code. An item without labels has the penalty only.
    """

    Options = GreedyHashOptions
    classifier: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        bound = bits**-0.5
        weights = torch.rand(classes, bits, generator=torch.Generator().manual_seed(seed)) * 2 * bound - bound
        if self.options.classifier == "trained":
            self.classifier = nn.Parameter(weights)  # (classes, bits)
        else:
            self.register_buffer("classifier", weights)

    @property
    def is_pointwise(self) -> bool:
        """Each image is classified by itself."""
        return True

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (no bank)
        """Cross-entropy of the code (equation 6) and the penalty (equation 9)."""
        logits = straight_through_sign(features) @ self.classifier.to(features.dtype).T  # (b, classes)
        shares = label_shares(labels) if self.options.multi_label == "shared" else first_label(labels)
        penalty = (features.abs() - 1).abs().pow(3).mean()
        alpha: float = self.options.alpha
        likelihood = functional.cross_entropy(logits, shares, label_smoothing=self.options.smoothing)
        return likelihood + alpha * penalty


def straight_through_sign(features: Tensor) -> Tensor:
    """+1 for features above 0, else -1; the gradient is that of the identity. Any shape."""
    return straight_through(torch.where(features > 0, 1.0, -1.0).to(features.dtype), features)


def straight_through(codes: Tensor, features: Tensor) -> Tensor:
    """The values of codes without gradient, and the gradient of features. Any shape."""
    # The difference is exactly 0, so the value is exactly the code, even for large features.
    return codes + (features - features.detach())
