"""CroVCA: each view of an image predicts the code of the other one, and codes fill their space; no labels.

Paper: Moummad et al., Image Hashing via Cross-View Code Alignment in the Age of Foundation Models, CVPR Workshops 2026,
https://arxiv.org/abs/2510.27584, and its public code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from vtsearch.frameworks.base import Framework, check_options
from vtsearch.frameworks.similarity import directions
from vtsearch.tensors.distributed import gather_batch, mean

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CroVCAOptions:
    """Options of CroVCA."""

    rate: float = 0.1
    """Weight of the coding rate, which is maximized; at least 0. 0.1 in the authors' code."""
    epsilon: float = 0.05
    """Distortion up to which the rate counts; above 0, and the smaller, the more directions features have to fill. 0.05
    in the authors' code."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("epsilon",))

    @classmethod
    def published(cls) -> CroVCAOptions:
        """As in the authors' code, which the defaults are."""
        return cls()


class CroVCA(Framework):
    """L = mean of BCE(sigmoid(u), [u' >= 0]) over bits, images and views - rate * mean of R over views.

    u' are the features of the image's other view, which as a target have no gradient. With z = u / |u|, Z those of
    all n images, R = (n + bits) / (n bits) * log det(I + bits / (n epsilon) Z^T Z) / 2. n counts the images of all
    processes.
    """

    Options = CroVCAOptions
    is_supervised: ClassVar[bool] = False
    views: ClassVar[int] = 2

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (unsupervised)
        """The bits of the other view, as far as they are not predicted, and the coding rate of each view."""
        first, second = features.chunk(2)
        others = (torch.cat([second, first]) >= 0).to(features.dtype)
        alignment = mean(functional.binary_cross_entropy_with_logits(features, others, reduction="none"))
        rate: float = self.options.rate
        return alignment - rate * (self._coding_rate(first) + self._coding_rate(second)) / 2

    def _coding_rate(self, features: Tensor) -> Tensor:
        """R of one view of the batch of all processes."""
        pointing = directions(gather_batch(features))
        count, bits = pointing.shape
        spread = bits / (count * self.options.epsilon) * pointing.T @ pointing
        identity = torch.eye(bits, dtype=features.dtype, device=features.device)
        return (count + bits) / (count * bits) * torch.logdet(identity + spread) / 2
