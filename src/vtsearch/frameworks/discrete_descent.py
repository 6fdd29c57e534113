"""Discrete coordinate descent of database codes: soft similarity, a least-squares classifier, one sweep over bits.

Notation of the sources: outputs U (m, bits) of the m sampled images, database codes V (n, bits), labels Y (n, classes),
classifier W (bits, classes), and the soft similarity S (m, n), which is 1 where two images share a label, else -ratio.
S is never stored as a whole: its sums and products are accumulated over blocks of the database.

Sources: Jiang and Li, Asymmetric Deep Supervised Hashing, AAAI 2018, https://arxiv.org/abs/1707.08325; Shen et al.,
Supervised Discrete Hashing, CVPR 2015, for the sweep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vtsearch.frameworks.similarity import share_a_label

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1 << 24  # elements of S at a time


def soft_similarity(labels: Tensor, others: Tensor, ratio: Tensor) -> Tensor:
    """(b, classes) and (n, classes), 0/1 -> (b, n): 1 where two items share a label, else -ratio."""
    return (1 + ratio) * share_a_label(labels, others) - ratio


def similarity_ratio(labels: Tensor, others: Tensor) -> Tensor:
    """Similar pairs per dissimilar pair, a float64 scalar: with it S sums to 0. Without dissimilar pairs, 0."""
    similar = sum(
        (share_a_label(labels, block).sum(dtype=torch.float64) for block in _blocks(others, len(labels))),
        torch.zeros((), dtype=torch.float64, device=labels.device),
    )
    dissimilar = len(labels) * len(others) - similar
    return torch.where(dissimilar > 0, similar / dissimilar.clamp(min=1), torch.zeros_like(similar))


def pulled_by_similarity(outputs: Tensor, labels: Tensor, others: Tensor, ratio: Tensor) -> Tensor:
    """S^T U (n, bits), from outputs (m, bits) of items with labels (m, classes) and the labels of n others."""
    whole = torch.cat([share_a_label(block, labels) @ outputs for block in _blocks(others, len(labels))])
    return (1 + ratio) * whole - ratio * outputs.sum(dim=0)


def least_squares_classifier(codes: Tensor, labels: Tensor, ridge: float) -> Tensor:
    """The minimizer W (bits, classes) of |Y - V W|^2 + ridge |W|^2, for ridge above 0.

    Solved in float64: equal bits in all codes make V^T V singular, and a small ridge barely regular.
    """
    gram, moments = ((codes.T @ part).double().cpu() for part in (codes, labels))
    gram.diagonal().add_(ridge)
    factor = torch.linalg.cholesky(gram)
    return torch.cholesky_solve(moments, factor).to(codes)


def coordinate_descent(codes: Tensor, pull: Tensor, coupling: Tensor) -> Tensor:
    """New codes (n, bits) of -1 and +1 after one sweep: the exact minimizer of each bit in turn, given the others.

    Minimizes tr(V G V^T) - 2 tr(Q V^T) over one column of V after the other. The squares of a bit are constant, so the
    diagonal of G has no effect. A bit with a drive of 0 keeps its sign (-1 for 0).

    Args:
        codes: (n, bits), the bits so far; any real numbers in the first sweep.
        pull: Q, (n, bits).
        coupling: G, (bits, bits), symmetric.
    """
    codes, between = codes.clone(), coupling.clone()
    between.fill_diagonal_(0)
    for bit in range(codes.shape[1]):
        drive = pull[:, bit] - codes @ between[:, bit]
        kept = torch.where(drive == 0, codes[:, bit], drive)
        codes[:, bit] = torch.where(kept > 0, 1.0, -1.0)
    return codes


def _blocks(others: Tensor, rows: int) -> tuple[Tensor, ...]:
    """Parts of others (n, ...), so that each with `rows` items makes a matrix of at most BLOCK elements."""
    parts: tuple[Tensor, ...] = torch.split(others, max(BLOCK // max(rows, 1), 1))
    return parts
