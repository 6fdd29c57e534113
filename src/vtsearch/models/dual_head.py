"""A head of two streams: the class token for the image, and groups of patches for its parts.

A reconstruction of TransHash's head: Chen et al., TransHash, ICMR 2022, https://arxiv.org/abs/2105.01823. Its abstract
has the two streams of global and local features; the authors published no code, so that sizes and order are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from timm.models.vision_transformer import Block
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class DualHead(nn.Module):
    """Global features of the class token and local ones of the patches, each through a linear layer to half the bits.

    Patches are cut into groups in their order, bands of the image. One more transformer block, shared by the groups,
    takes the class token and the patches of a group; the class tokens that it gives are the local features. Bits
    alternate between the two streams, the first is global, so that the first bits of a code have both.

    Args:
        width: of a token.
        heads: of the block's attention.
        bits: length of the features.
        prefix: tokens before those of the patches: the class token, then registers, which no head looks at.
        patches: how many patch tokens there are.
        groups: of patches.

    Raises:
        ValueError: fewer than two bits, or more groups than patches.
    """

    order: Tensor

    def __init__(self, width: int, heads: int, bits: int, *, prefix: int, patches: int, groups: int) -> None:
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits: expected at least 2 with the head 'dual', got {bits}")
        if groups > patches:
            raise ValueError(f"groups: expected at most {patches}, the patches of an image, got {groups}")
        self._prefix, self._groups = prefix, groups
        self.block = Block(width, heads, qkv_bias=True)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.outer = nn.Linear(width, bits - bits // 2)
        self.outer_local = nn.Linear(groups * width, bits // 2)
        order = torch.cat([torch.arange(0, bits, 2), torch.arange(1, bits, 2)]).argsort()
        self.register_buffer("order", order, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, tokens, width) -> (b, bits)."""
        whole, parts = self.outer(tokens[:, 0]), self.outer_local(self.local_features(tokens))
        return torch.cat([whole, parts], dim=1)[:, self.order]

    def local_features(self, tokens: Tensor) -> Tensor:
        """The class token of each group, side by side: (b, tokens, width) -> (b, groups * width)."""
        groups = tokens[:, self._prefix :].tensor_split(self._groups, dim=1)
        outputs = [self.block(torch.cat([tokens[:, :1], group], dim=1))[:, 0] for group in groups]
        found: Tensor = self.norm(torch.stack(outputs, dim=1)).flatten(1)
        return found


def initialize_block(head: DualHead) -> None:
    """Draw the weights of the block as timm does: small ones, so that at first a local feature is the class token."""
    for layer in head.block.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
