"""Model and framework as one module: images, labels and positions to loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtsearch.frameworks.base import label_shares
from vtsearch.models.heads import head_inputs

if TYPE_CHECKING:
    from vtsearch.frameworks.base import Framework
    from vtsearch.models import HashModel


class TrainModule(nn.Module):
    """The loss of a batch; a single module, so that data parallelism averages the gradients of model and framework.

    Args:
        model: images to features.
        framework: features to the loss.
        classifier: of the features, with its own weight in the loss; None for none.
        mixup: alpha of the Beta distribution of the share of an image in a mixed one; 0 mixes nothing. Draws from
            torch's generator. Source: Zhang et al., mixup, ICLR 2018, https://arxiv.org/abs/1710.09412.

    Raises:
        ValueError: mixup with a framework that compares images with each other.
    """

    def __init__(
        self, model: HashModel, framework: Framework, classifier: Classifier | None = None, *, mixup: float = 0.0
    ) -> None:
        super().__init__()
        if mixup and not framework.is_pointwise:
            raise ValueError(
                f"mixup: expected 0 with {framework.kind.__name__}, which compares images with each other, got {mixup}"
            )
        self.model = model
        self.framework = framework
        self.classifier = classifier
        self._mixup = mixup

    def forward(self, images: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The scalar loss.

        Args:
            images: (b, 3, h, w) float.
            labels: (b,) int64 or (b, classes).
            positions: (b,) int64 rows of the training set.
        """
        if self.framework.kind.compares_inputs:
            outputs = self.model.backbone_outputs(images)
            inputs = head_inputs(self.model.head, outputs.detach())
            return self._loss(self.model.head(outputs), labels, positions, inputs)
        if not (self._mixup and self.training):
            return self._loss(self.model(images), labels, positions)
        share = float(torch.distributions.Beta(self._mixup, self._mixup).sample())
        features = self.model(share * images + (1 - share) * images.roll(1, 0))
        first, second = self._loss(features, labels, positions), self._loss(features, labels.roll(1, 0), positions)
        return share * first + (1 - share) * second

    def _loss(self, features: Tensor, labels: Tensor, positions: Tensor, *inputs: Tensor) -> Tensor:
        loss: Tensor = self.framework(features, labels, positions, *inputs)
        return loss if self.classifier is None else loss + self.classifier(features, labels)


class Classifier(nn.Module):
    """Cross-entropy of a linear layer on tanh of the features, times a weight.

    An item with several labels has equal shares of them; one without labels adds nothing but the smoothing.

    Args:
        bits: length of the features.
        classes: number of classes.
        weight: of the cross-entropy in the loss.
        smoothing: share of the target that is spread over all classes.
    """

    def __init__(self, bits: int, classes: int, *, weight: float, smoothing: float) -> None:
        super().__init__()
        self._weight, self._smoothing = weight, smoothing
        self.linear = nn.Linear(bits, classes)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """The weighted loss of features (b, bits) and labels, int64 (b,) or 0/1 (b, classes)."""
        with torch.autocast(features.device.type, enabled=False):
            logits = self.linear(features.float().tanh())
            targets = labels if labels.ndim == 1 else label_shares(labels.float())
            return self._weight * functional.cross_entropy(logits, targets, label_smoothing=self._smoothing)
