"""From a backbone's tokens, or its pooled features, to features.

Source: Dubey et al., Vision Transformer Hashing for Image Retrieval, ICME 2022, https://arxiv.org/abs/2109.12564, the
all-token head and its class-token ablation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional

from vtsearch.models.dual_head import DualHead, initialize_block
from vtsearch.tensors.distributed import number_of_processes, total

if TYPE_CHECKING:
    from torch import Tensor

HeadInit = Literal["fan_in", "published"]
NOWHERE = slice(0, 0)


class TokensHead(nn.Module):
    """All tokens, flattened in order: dropout, linear, ReLU, linear. Tied to one number of tokens.

    Args:
        tokens: how many the backbone gives.
        width: of a token.
        bits: length of the features.
        hidden: width of the inner layer.
        dropout: share of the flattened tokens that training zeroes.
    """

    def __init__(self, tokens: int, width: int, bits: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.Linear(tokens * width, hidden)
        self.relu = nn.ReLU()
        self.outer = nn.Linear(hidden, bits)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, tokens, width) -> (b, bits)."""
        flat = self.dropout(tokens.flatten(1))  # (b, tokens * width)
        features: Tensor = self.outer(self.relu(self.inner(flat)))
        return features


class ClassTokenHead(nn.Module):
    """The class token alone, through one linear layer.

    Args:
        width: of a token.
        bits: length of the features.
    """

    def __init__(self, width: int, bits: int) -> None:
        super().__init__()
        self.outer = nn.Linear(width, bits)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, tokens, width) -> (b, bits)."""
        features: Tensor = self.outer(self.pool(tokens))
        return features

    def pool(self, tokens: Tensor) -> Tensor:
        """What the linear layer sees: (b, tokens, width) -> (b, width)."""
        return tokens[:, 0]


class ClassTokenAndPatchesHead(nn.Module):
    """The class token and the mean of the patch tokens, side by side, through one linear layer.

    Args:
        width: of a token.
        bits: length of the features.
        prefix: tokens before those of the patches: the class token, then registers, which no head looks at.
    """

    def __init__(self, width: int, bits: int, *, prefix: int) -> None:
        super().__init__()
        self._prefix = prefix
        self.outer = nn.Linear(2 * width, bits)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, tokens, width) -> (b, bits)."""
        features: Tensor = self.outer(self.pool(tokens))
        return features

    def pool(self, tokens: Tensor) -> Tensor:
        """What the linear layer sees: (b, tokens, width) -> (b, 2 * width)."""
        return torch.cat([tokens[:, 0], tokens[:, self._prefix :].mean(dim=1)], dim=1)


class PooledHead(nn.Module):
    """Pooled features, or the mean of all tokens but registers, through one linear layer.

    Args:
        width: of the pooled features.
        bits: length of the features.
        registers: where they stand among the tokens; in most backbones nowhere.
    """

    def __init__(self, width: int, bits: int, registers: slice = NOWHERE) -> None:
        super().__init__()
        self._registers = registers
        self.outer = nn.Linear(width, bits)

    def forward(self, outputs: Tensor) -> Tensor:
        """(b, width) or (b, tokens, width) -> (b, bits)."""
        features: Tensor = self.outer(self.pool(outputs))
        return features

    def pool(self, outputs: Tensor) -> Tensor:
        """What the linear layer sees: (b, width) or (b, tokens, width) -> (b, width)."""
        return pooled(outputs, self._registers)


Head = TokensHead | ClassTokenHead | ClassTokenAndPatchesHead | DualHead | PooledHead


def output_layers(head: Head) -> tuple[nn.Linear, ...]:
    """The linear layers whose outputs are the features."""
    return (head.outer, head.outer_local) if isinstance(head, DualHead) else (head.outer,)


def feature_biases(head: nn.Module) -> tuple[nn.Parameter, ...]:
    """What is added last to the features, the parts in their order: of the norm, or of the layers that end a head."""
    if isinstance(head, nn.Sequential):
        return (head[-1].get_parameter("bias"),)
    assert isinstance(head, Head)
    return tuple(layer.get_parameter("bias") for layer in output_layers(head))


def pooled(outputs: Tensor, registers: slice = NOWHERE) -> Tensor:
    """One vector per image, (b, width): the mean of tokens (b, tokens, width) but registers, or pooled features."""
    if outputs.ndim < 3:
        return outputs
    if registers.start == registers.stop:
        return outputs.mean(dim=1)
    return torch.cat([outputs[:, : registers.start], outputs[:, registers.stop :]], dim=1).mean(dim=1)


def head_inputs(head: nn.Module, outputs: Tensor) -> Tensor:
    """One vector per image, (b, width): what the linear layer of a head "cls" or "pooled" sees; else the mean token."""
    first = head[0] if isinstance(head, nn.Sequential) else head  # before the norm
    return first.pool(outputs) if isinstance(first, ClassTokenHead | PooledHead) else pooled(outputs)


class FeatureNorm(nn.BatchNorm1d):
    """Each feature with mean and deviation learned, from those of the batch; when encoding, from the running ones.

    The batch is that of all processes together. A batch of one has no deviation: it takes the running ones.

    Source: Hoe et al., One Loss for All, NeurIPS 2021, https://arxiv.org/abs/2109.14449, section 3.
    """

    running_mean: Tensor
    running_var: Tensor
    momentum: float

    def forward(self, features: Tensor) -> Tensor:
        """(b, bits) -> (b, bits)."""
        if not self.training or len(features) * number_of_processes() < 2:
            return functional.batch_norm(
                features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            count = total(features.new_full((), len(features)))
            mean = total(features.sum(dim=0)) / count
            variance = total((features - mean).square().sum(dim=0)) / count
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            return (features - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias


def initialize(head: Head, init: HeadInit) -> None:
    """Draw the weights of a head.

    "fan_in" lets features start near scale 1 for any number of tokens: He's bound before the ReLU, then N(0, 0.01) and
    no bias, as HashNet's authors do. "published" is what the code of the paper does: the first layer's bound comes from
    its number of outputs, its biases are N(0, 1); features start at a standard deviation of 3 and more, where tanh has
    little slope. A pooled head starts alike under both, as the published ResNet does.
    """
    if isinstance(head, DualHead):
        initialize_block(head)
    if init == "published" and not isinstance(head, PooledHead):
        for layer in (head.inner,) if isinstance(head, TokensHead) else output_layers(head):
            nn.init.kaiming_uniform_(layer.weight, mode="fan_out")
            nn.init.normal_(layer.bias)
        return
    if isinstance(head, TokensHead):
        nn.init.kaiming_uniform_(head.inner.weight, nonlinearity="relu")
        nn.init.zeros_(head.inner.bias)
    for layer in output_layers(head):
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
