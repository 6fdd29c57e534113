"""Pairwise relevance, distances and log-likelihoods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

SHORTEST = 1e-4
"""The length from which features have a direction."""


def share_a_label(labels: Tensor, others: Tensor) -> Tensor:
    """(b, classes) and (n, classes), 0/1 -> (b, n) of the same dtype: 1 where two items share a label, else 0."""
    return (labels @ others.T > 0).to(labels.dtype)


def shared_part(labels: Tensor, others: Tensor, epsilon: float = 0.0) -> Tensor:
    """(b, classes) and (n, classes), 0/1 -> (b, n): the cosine of two items' labels, 0 for an item without any.

    ``epsilon`` is added to the denominator |y| |y'|.
    """
    lengths = labels.sum(dim=1).sqrt()[:, None] * others.sum(dim=1).sqrt()  # at least 1 where both have a label
    return (labels @ others.T) / (lengths.clamp(min=1) + epsilon)


def pairwise_loss(logits: Tensor, similar: Tensor) -> Tensor:
    """Negative log-likelihood of each pair: log(1 + exp(x)) - s x, of any shape.

    The often published form log(1 + exp(-x)) + x - s x overflows for x < -88 in float32; ``softplus`` does not.
    """
    return functional.softplus(logits) - similar * logits


def directions(features: Tensor) -> Tensor:
    """(b, bits) -> (b, bits): features of length 1; those shorter than ``SHORTEST`` are divided by that instead."""
    return functional.normalize(features, eps=SHORTEST)


def cosines(features: Tensor, others: Tensor) -> Tensor:
    """(b, bits) and (n, bits) -> (b, n): the cosines of the angles between features; 0 for features of 0."""
    return directions(features) @ directions(others).T


def squared_distances(features: Tensor, others: Tensor) -> Tensor:
    """(b, bits) and (n, bits) -> (b, n): |u - v|^2 of each pair, never below 0, without a (b, n, bits) tensor.

    |u|^2 + |v|^2 - 2 <u, v> is a small difference of large sums for two close points far from the origin, so it is
    computed in float64, if the device supports it.
    """
    exact = features.dtype if features.device.type == "mps" else torch.float64
    left, right = features.to(exact), others.to(exact)
    squares = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1)
    return (squares - 2 * left @ right.T).clamp(min=0).to(features.dtype)
