"""HyP2: learned proxies of the classes, and a margin between images with several labels that share none.

Paper: Xu et al., HyP2 Loss: Beyond Hypersphere Metric Space for Multi-label Image Retrieval, ACM MM 2022,
https://arxiv.org/abs/2208.06866.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional

from vtsearch.frameworks.base import Framework, check_options
from vtsearch.frameworks.centers import class_centers
from vtsearch.frameworks.similarity import cosines, share_a_label
from vtsearch.tensors.distributed import gather_batch, mean

if TYPE_CHECKING:
    from typing import Any, Self

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class HyP2Options:
    """Options of HyP2."""

    threshold: float | Literal["codes"] = "codes"
    """Cosine above which unrelated images and proxies repel each other, the paper's zeta; at most 1. "codes" is the
    cosine of the closest two of as many codes as there are classes, at the largest distance found."""
    pair_weight: float = 0.5
    """Weight of the term over pairs of images, the paper's beta; 0 leaves the proxies alone."""

    def __post_init__(self) -> None:
        check_options(self)
        if self.threshold != "codes" and self.threshold > 1:
            raise ValueError(f"threshold: expected at most 1, got {self.threshold}")

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing in such a run -> the reason."""
        return {"pair_weight": "each image has one label"} if facts.single_labels else {}

    @classmethod
    def published(cls) -> Self:
        """The options of the authors' public code, but for the table of its thresholds."""
        return cls()


class HyP2(Framework):
    """L = mean of 1 - cos(u, p) + mean of max(cos(u, q) - t, 0) + pair_weight * mean of max(cos(u, u') - t, 0).

    p are the proxies of an image's labels, q those of all other classes; u and u' are images of the batch that have
    several labels each, and share none; t is the threshold. A term of no pairs is 0. The proxies are parameters.
    """

    Options = HyP2Options

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        random = torch.Generator().manual_seed(seed)
        proxies = torch.randn(classes, bits, generator=random) * math.sqrt(2 / classes)  # the authors' scale
        self.proxies = nn.Parameter(proxies)
        asked: float | Literal["codes"] = self.options.threshold
        self.threshold = largest_cosine(class_centers(classes, bits)) if asked == "codes" else asked

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (no bank)
        """The two proxy terms and the pair term."""
        to_proxies = cosines(features, self.proxies.to(features.dtype))  # (b, classes)
        own, others = mean(1 - to_proxies, labels), mean(self._excess(to_proxies), 1 - labels)
        weight: float = self.options.pair_weight
        return own + others + weight * self._pairs(features, labels)

    def _pairs(self, features: Tensor, labels: Tensor) -> Tensor:
        """The mean excess of the cosines of unrelated images with several labels."""
        others, other_labels = gather_batch(features), gather_batch(labels)
        several, others_several = ((each.sum(dim=1) > 1).to(labels.dtype) for each in (labels, other_labels))
        unrelated = several[:, None] * others_several * (1 - share_a_label(labels, other_labels))
        return mean(self._excess(cosines(features, others)), unrelated)

    def _excess(self, values: Tensor) -> Tensor:
        return functional.relu(values - self.threshold)


def largest_cosine(codes: Tensor) -> float:
    """The largest cosine of two different rows of codes (n, bits) of -1 and +1; 0 if there is none above it."""
    products = (codes @ codes.T).fill_diagonal_(0)
    return float(products.max().clamp(min=0)) / codes.shape[1]
