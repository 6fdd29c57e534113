"""Multi-label handling for single-label losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def label_shares(labels: Tensor) -> Tensor:
    """Each item's labels with equal shares of 1: (b, classes) of 0 and 1 -> the same shape; no labels, no shares."""
    return labels / labels.sum(dim=1, keepdim=True).clamp(min=1)


def first_label(labels: Tensor) -> Tensor:
    """The first label of each item alone, (b, classes) -> the same shape; class 0 for an item without labels.

    What published code does to several labels by ``argmax``; kept so that its numbers can be repeated.
    """
    return functional.one_hot(labels.argmax(dim=1), labels.shape[1]).to(labels.dtype)


def cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """-sum(shares * log softmax(logits)) of each item, (b, classes) both; the mean over all items of the batch.

    An item without shares counts as 0: so the mean over two halves of a batch is the mean over the batch.
    """
    return functional.cross_entropy(logits, shares)
