"""A moving average of a model's weights over the steps of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

WARMUP = 10
"""Steps after which the average's decay is about a half: at first it follows the weights closely."""


class WeightAverage:
    """An exponential moving average of all weights and of statistics such as those of batch normalization.

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM J. Control Optim. 1992.

    Args:
        model: holds the average; starts as a copy of the trained model.
        decay: share of the average that a step keeps, at most; step t, from 0, keeps (1 + t) / (10 + t) or less.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model.requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, trained: nn.Module, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        share = 1 - min(self._decay, (1 + step) / (WARMUP + step))
        pairs = [(mine, other) for mine, other in zip(self._values(self.model), self._values(trained), strict=True)]
        floating = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in floating], [other for _, other in floating], share)
        for mine, other in pairs:
            if not mine.is_floating_point():
                mine.copy_(other)

    @staticmethod
    def _values(module: nn.Module) -> list[torch.Tensor]:
        return list(module.state_dict().values())
