"""Model and framework as one module: images, labels and positions to loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from vtsearch.frameworks.base import Framework
    from vtsearch.models import HashModel


class TrainModule(nn.Module):
    """The loss of a batch; a single module, so that data parallelism averages the gradients of model and framework."""

    def __init__(self, model: HashModel, framework: Framework) -> None:
        super().__init__()
        self.model = model
        self.framework = framework

    def forward(self, images: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The scalar loss.

        Args:
            images: (b, 3, h, w) float.
            labels: (b,) int64 or (b, classes).
            positions: (b,) int64 rows of the training set.
        """
        loss: Tensor = self.framework(self.model(images), labels, positions)
        return loss
