"""A backbone and a hash head: images in, features out, codes by their sign."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vtsearch.models.alexnet import AlexNet
from vtsearch.models.backbones import (
    architecture,
    attention_heads,
    backbone_preprocessing,
    create_backbone,
    feature_width,
    gives_tokens,
    has_class_token,
    input_side,
    published_preprocessing,
    registers_of,
    suit_attention,
)
from vtsearch.models.config import HeadName, ModelConfig
from vtsearch.models.dual_head import DualHead
from vtsearch.models.heads import (
    ClassTokenAndPatchesHead,
    ClassTokenHead,
    FeatureNorm,
    Head,
    PooledHead,
    TokensHead,
    initialize,
    output_layers,
)
from vtsearch.models.meta_device import meta_device
from vtsearch.models.weights import load_backbone_weights, state_bytes

if TYPE_CHECKING:
    from vtsearch.models.fitted import Fitted
    from vtsearch.tensors.preprocessing import Preprocessing


class HashModel(nn.Module):
    """Backbone and hash head: images to features, the signs of which are the code. See ``build_model``.

    Attributes:
        config: what it was made from; its head is never "auto" or "published".
        preprocessing: what its images must go through.
        backbone: to all tokens, or to pooled features.
        head: from there to features.
        fitted: how the head was fitted, if it was not trained.
    """

    def __init__(self, config: ModelConfig, backbone: nn.Module, head: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.config = config
        self.preprocessing = preprocessing
        self.backbone = backbone
        self.head = head
        self.fitted: Fitted | None = None
        # convolutions are faster on pixels whose channels lie side by side; the numbers are the same to rounding
        self._layout = torch.contiguous_format if gives_tokens(backbone) else torch.channels_last
        backbone.to(memory_format=self._layout)
        self._suits = ""

    @property
    def bits(self) -> int:
        """Length of the features and of the codes."""
        return self.config.bits

    @property
    def width(self) -> int:
        """Width of the backbone's tokens or pooled features."""
        return feature_width(self.backbone)

    def forward(self, images: Tensor) -> Tensor:
        """Features, float (b, bits), of preprocessed images, float (b, 3, image_size, image_size).

        Raises:
            ValueError: images of another shape.
        """
        features: Tensor = self.head(self.backbone_outputs(images))
        return features

    def backbone_outputs(self, images: Tensor) -> Tensor:
        """Tokens (b, tokens, width), or pooled features (b, width); images and errors as of ``forward``."""
        size = self.preprocessing.image_size
        if images.ndim != 4 or images.shape[1:] != (3, size, size):
            raise ValueError(
                f"images: expected shape (b, 3, {size}, {size}), got {tuple(images.shape)}; "
                "a model has one image size: build it with another image_size, or preprocess to this one"
            )
        if images.device.type != self._suits:
            suit_attention(self, images.device)
            self._suits = images.device.type
        outputs: Tensor = self.backbone(images.contiguous(memory_format=self._layout))
        return outputs

    def fingerprint(self) -> str:
        """sha256 of weights, preprocessing and architecture."""
        digest = hashlib.sha256()
        names = ("bits", "head", "hidden", *(("groups",) if self.config.head == "dual" else ()))
        made_of = {name: getattr(self.config, name) for name in names}
        made_of["backbone"] = architecture(self.config.backbone)
        digest.update(json.dumps([made_of, self.preprocessing.to_dict()], sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(state_bytes(tensor))
        return digest.hexdigest()


def build_model(config: ModelConfig, preprocessing: Preprocessing | None = None) -> HashModel:
    """A model with its backbone's weights loaded and its head drawn from torch's generator; in training mode.

    Args:
        config: what to build.
        preprocessing: instead of the one that the config names; its image size must be the model's.

    Raises:
        ValueError: an unknown backbone (with close matches) or one that does not suit the config.
        FileNotFoundError: no such weights file.
        VtsearchError: the weights do not suit the backbone, or cannot be fetched.
    """
    refuse_too_large(outline(config))
    fetch = config.pretrained and config.weights is None
    backbone: Any = _create_backbone(config, pretrained=fetch)
    if config.weights is not None:
        load_backbone_weights(backbone, config.weights)
    size, config = _resolved(config, backbone)
    if preprocessing is None:
        is_published = config.preprocessing == "published"
        preprocessing = published_preprocessing(size) if is_published else backbone_preprocessing(backbone, size)
    if preprocessing.image_size != size:
        raise ValueError(f"preprocessing: expected image_size {size}, the model's, got {preprocessing.image_size}")
    return HashModel(config, backbone, _normed_head(config, backbone), preprocessing)


def outline(config: ModelConfig) -> nn.ModuleDict:
    """Backbone and head of a model on the meta device: names and shapes of its weights, without their memory.

    Raises:
        ValueError: as ``build_model``.
    """
    with meta_device(), torch.random.fork_rng(devices=[]):
        backbone = _create_backbone(config, pretrained=False)
        _, config = _resolved(config, backbone)
        return nn.ModuleDict({"backbone": backbone, "head": _normed_head(config, backbone)})


def refuse_too_large(model: nn.Module) -> None:
    """Refuse a model whose weights alone are larger than the memory.

    Raises:
        ValueError: tells both sizes.
    """
    needed = sum(4 * tensor.numel() for tensor in model.state_dict().values())
    if needed > (memory := memory_bytes()):
        raise ValueError(
            "backbone, image_size, bits, hidden: expected a model that fits into the memory of "
            f"{memory / 2**30:.1f} GiB, got weights of {needed / 2**30:.1f} GiB"
        )


def memory_bytes() -> float:
    """The memory of this machine, or infinity where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # Windows
        return math.inf


def _create_backbone(config: ModelConfig, *, pretrained: bool) -> nn.Module:
    return create_backbone(
        config.backbone,
        image_size=config.image_size,
        pretrained=pretrained,
        dropout=config.backbone_dropout,
        drop_path=config.drop_path,
    )


def _resolved(config: ModelConfig, backbone: nn.Module) -> tuple[int, ModelConfig]:
    """The image size, and the configuration with it and with the head that "auto" or "published" stands for."""
    size = input_side(backbone, config.image_size)
    head = suitable_head(config.head, backbone, pretrained=config.pretrained, weights=config.weights)
    return size, replace(config, image_size=size, head=head)


def suitable_head(head: HeadName, backbone: nn.Module, *, pretrained: bool, weights: str | None) -> HeadName:
    """The head that "auto" or "published" stands for with a backbone; any other as it is.

    Args:
        head: of a ``ModelConfig``, as are pretrained and weights, which say whether the backbone was trained before.
        backbone: on any device, also on "meta".
        pretrained: whether weights are fetched.
        weights: a file of weights.
    """
    if head == "published" or (head == "auto" and not pretrained and weights is None):
        # random weights taught the class token nothing: 500 digits, 8 epochs: mAP 0.37, and 0.69 with all tokens
        return "tokens" if gives_tokens(backbone) else "pooled"
    return linear_head(backbone) if head == "auto" else head


def linear_head(backbone: nn.Module) -> HeadName:
    """The head of one layer that suits a backbone: the class token where there is one, else pooled features."""
    return "cls" if has_class_token(backbone) else "pooled"


def _normed_head(config: ModelConfig, backbone: Any) -> nn.Module:
    head = _build_head(config, backbone)
    if not (config.head_init == "published" and isinstance(backbone, AlexNet)):  # which leaves it as torch draws it
        initialize(head, config.head_init)
    if config.head_norm == "none":
        return head
    for layer in output_layers(head):
        layer.register_parameter("bias", None)
    return nn.Sequential(head, FeatureNorm(config.bits))


def _build_head(config: ModelConfig, backbone: Any) -> Head:
    width = feature_width(backbone)
    if config.head == "pooled":
        return PooledHead(width, config.bits, registers_of(backbone))
    if not gives_tokens(backbone):
        raise ValueError(f"head: {config.backbone} is no Vision Transformer; expected 'pooled', got {config.head!r}")
    patches, prefix = int(backbone.patch_embed.num_patches), int(backbone.num_prefix_tokens)
    if config.head == "tokens":
        return TokensHead(patches + prefix, width, config.bits, hidden=config.hidden, dropout=config.dropout)
    if not has_class_token(backbone):
        raise ValueError(
            f"head: {config.backbone} has no class token; expected 'tokens' or 'pooled', got {config.head!r}"
        )
    if config.head == "cls+patches":
        return ClassTokenAndPatchesHead(width, config.bits, prefix=prefix)
    if config.head == "dual":
        heads = attention_heads(backbone)
        return DualHead(width, heads, config.bits, prefix=prefix, patches=patches, groups=config.groups)
    return ClassTokenHead(width, config.bits)
