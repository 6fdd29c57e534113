"""AlexNet as the hashing literature uses it: up to its second fully connected layer, which stays pretrained.

Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014,
https://arxiv.org/abs/1404.5997, in torchvision's form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torchvision
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_IMAGE = 63
"""Side in pixels below which nothing is left of an image before the last pooling."""


class AlexNet(nn.Module):
    """Images (b, 3, h, w) -> (b, 4096): convolutions, dropout, linear, ReLU, dropout, linear, ReLU.

    At 224 pixels the convolutions give the 6 x 6 that the first linear layer wants; at other sizes they are averaged
    to it. Parameters have torchvision's names. The two dropouts zero half in training, as published.

    Args:
        pretrained: fetch torchvision's weights (ImageNet-1k, version 1).
    """

    num_features = head_hidden_size = 4096
    default_cfg: ClassVar[dict[str, Any]] = {
        "architecture": "alexnet",
        "input_size": (3, 224, 224),
        "interpolation": "bilinear",
        "crop_pct": 224 / 256,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "classifier": "classifier.6",
    }
    pretrained_cfg = default_cfg  # where timm looks for the pixels that the weights were trained with

    def __init__(self, *, pretrained: bool) -> None:
        super().__init__()
        whole = torchvision.models.alexnet(weights="IMAGENET1K_V1" if pretrained else None)
        self.features = whole.features
        self.avgpool = whole.avgpool
        self.classifier = whole.classifier[:-1]

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, 4096)."""
        outputs: Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return outputs

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: ARG002 (timm's signature)
        """Which parameters make up which layer, for timm's layer decay; those that match nothing are the last."""
        return {"stem": r"^features\.0", "blocks": r"^features\.(\d+)"}
