"""Orthogonal rotations of projected features: random ones, and the one whose signs lose least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def random_rotation(size: int, random: np.random.Generator) -> Matrix:
    """(size, size) orthogonal, uniform over all: Q of a Gaussian matrix, where R has a positive diagonal.

    Source: Mezzadri, How to Generate Random Matrices from the Classical Compact Groups, Notices of the AMS 2007.
    """
    orthogonal, upper = np.linalg.qr(random.standard_normal((size, size)))
    return orthogonal * np.sign(np.diag(upper))


def iterative_quantization(projected: Matrix, rotation: Matrix, iterations: int) -> Matrix:
    """(bits, bits) rotation R after a number of alternating steps, none of which raises ``quantization_loss``.

    Source: Gong and Lazebnik, Iterative Quantization: A Procrustean Approach to Learning Binary Codes, CVPR 2011,
    section 2.2. Given R, the best B are the signs of V R; given B, the best R solves the orthogonal Procrustes problem:
    with the singular value decomposition V' B = S D T', it is S T'.

    Args:
        projected: V, (n, bits), features along the principal directions.
        rotation: to begin with, (bits, bits).
        iterations: steps for B and R.
    """
    for _ in range(iterations):
        left, _, right = np.linalg.svd(projected.T @ _signs(projected @ rotation))
        rotation = left @ right
    return rotation


def quantization_loss(projected: Matrix, rotation: Matrix) -> float:
    """||B - V R||^2, where B are the signs of V R, (n, bits)."""
    rotated = projected @ rotation
    return float(np.square(_signs(rotated) - rotated).sum())


def _signs(values: Matrix) -> Matrix:
    """1 where a bit of a code is 1, else -1."""
    return np.where(values > 0, 1.0, -1.0)
