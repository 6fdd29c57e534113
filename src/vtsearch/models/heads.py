"""From a backbone's tokens to features.

Source: Dubey et al., Vision Transformer Hashing for Image Retrieval, ICME 2022, https://arxiv.org/abs/2109.12564, the
all-token head and its class-token ablation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

HeadInit = Literal["fan_in", "published"]


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
        features: Tensor = self.outer(tokens[:, 0])
        return features


def initialize(first: nn.Linear, init: HeadInit, *, is_followed_by_relu: bool) -> None:
    """Draw the first linear layer of a head anew.

    "fan_in" keeps the features' scale near 1 for any number of tokens: He's uniform before a ReLU, torch's default
    otherwise. "published" is what the authors' code does: bounds from the number of outputs, normal biases; features
    then start at a standard deviation of 3 and more, where tanh has little slope.
    """
    if init == "published":
        nn.init.kaiming_uniform_(first.weight, mode="fan_out")
        nn.init.normal_(first.bias)
    elif is_followed_by_relu:
        nn.init.kaiming_uniform_(first.weight, nonlinearity="relu")
        nn.init.zeros_(first.bias)
