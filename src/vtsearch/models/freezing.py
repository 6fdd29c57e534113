"""Which layers of a backbone are trained, and what their forward pass keeps for the backward one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timm.models import group_parameters

from vtsearch.models.backbones import gives_tokens

if TYPE_CHECKING:
    from torch import nn


def freeze(backbone: nn.Module, layers: int) -> None:
    """Leave the layers nearest the image as they are: the embedding of patches is the first, each block one more.

    Args:
        backbone: a Vision Transformer; another network has statistics that training would still change.
        layers: how many; the last is frozen with the final norm.

    Raises:
        ValueError: another network, or more layers than there are.
    """
    if not layers:
        return
    if not gives_tokens(backbone):
        raise ValueError(f"freeze: expected 0 with a backbone that is no Vision Transformer, got {layers}")
    matcher: Any = backbone.group_matcher  # timm's
    layer_of = group_parameters(backbone, matcher(coarse=False), reverse=True)
    count = max(layer_of.values()) + 1
    if layers > count:
        raise ValueError(f"freeze: expected at most {count}, the layers of the backbone, got {layers}")
    for name, parameter in backbone.named_parameters():
        if layer_of[name] < layers:
            parameter.requires_grad_(False)


def recompute_activations(backbone: nn.Module) -> None:
    """Keep only what enters each block, and compute the rest again in the backward pass: less memory, more time.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, https://arxiv.org/abs/1604.06174.

    Raises:
        ValueError: a network that cannot.
    """
    try:
        switch: Any = backbone.set_grad_checkpointing  # timm's
        switch(True)
    except (AttributeError, AssertionError) as reason:
        raise ValueError(
            "gradient_checkpointing: expected false with this backbone, which has no such mode, got true"
        ) from reason
