"""From labels to pairs: who is relevant to whom, and how likely that is under the logistic model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def share_a_label(labels: Tensor, others: Tensor) -> Tensor:
    """(b, classes) and (n, classes), 0/1 -> (b, n) of the same dtype: 1 where two items share a label, else 0."""
    return (labels @ others.T > 0).to(labels.dtype)


def pairwise_loss(logits: Tensor, similar: Tensor) -> Tensor:
    """Negative log-likelihood of each pair: log(1 + exp(x)) - s x, of any shape.

    ``softplus`` is exact where log(1 + exp(-x)) + x - s x, as often published, overflows (x < -88 in float32).
    """
    return functional.softplus(logits) - similar * logits
