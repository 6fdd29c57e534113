"""Affine maps whose signs are codes, fitted to features without labels.

All center the features and project them; the methods differ in the directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch._validate import WIDEST, as_array, choice, whole_number
from vtsearch.fitting.rotations import iterative_quantization, random_rotation

Method = Literal["pca", "itq", "rotation", "lsh"]
Matrix = NDArray[np.float64]

ITERATIONS = 50
"""Of ITQ by default, as in its paper."""

MOST_ITERATIONS = 1_000_000
LARGEST_SEED = 2**63 - 1


class AffineMap(NamedTuple):
    """Weight and bias of a linear layer: ``features @ weight.T + bias``, the signs of which are the code."""

    weight: NDArray[np.float32]
    """(bits, width)"""
    bias: NDArray[np.float32]
    """(bits,)"""

    def __call__(self, features: ArrayLike) -> NDArray[np.float32]:
        """(n, width) features to (n, bits) float32, as ``vtsearch.pack`` takes them."""
        values: NDArray[np.float32] = np.asarray(features, dtype=np.float32) @ self.weight.T + self.bias
        return values


def fit_affine(
    method: Method, features: ArrayLike, bits: int, *, seed: int = 0, iterations: int | None = None
) -> AffineMap:
    """Fit an affine map to features, (n, width) floats; deterministic for a seed.

    Args:
        method: a key of ``METHODS``.
        features: of at least one image; only "lsh" takes fewer images than bits.
        bits: length of the codes; at most the width of the features, except for "lsh".
        seed: of random directions and rotations; "pca" has none.
        iterations: of "itq", 50 by default.

    Raises:
        TypeError: features that are no floats, bits or iterations that are no int.
        ValueError: an unknown method; features of another shape, or not finite; bits out of range, or more than the
            directions in which the features vary; iterations out of range, or with another method than "itq".
    """
    rows = _checked_features(features)
    check_options(method, rows.shape[1], bits, seed=seed, iterations=iterations)
    random = np.random.Generator(np.random.PCG64(seed))
    center = rows.mean(axis=0)
    steps = ITERATIONS if iterations is None else iterations
    weight = METHODS[method].directions(rows - center, bits, random, steps).astype(np.float32)
    return AffineMap(weight, (-weight.astype(np.float64) @ center).astype(np.float32))


def check_options(method: Any, width: int | None, bits: Any, *, seed: Any, iterations: Any) -> None:
    """Refuse what no features of this width, if it is known, can be fitted with; errors as of ``fit_affine``."""
    choice("method", method, tuple(METHODS))
    whole_number("bits", bits, 1, 8 * WIDEST)
    whole_number("seed", seed, 0, LARGEST_SEED)
    if width is not None and bits > width and not METHODS[method].is_unbounded:
        raise ValueError(f"bits: expected at most {width} for {method}, the width of the features, got {bits}")
    if iterations is not None:
        whole_number("iterations", iterations, 0, MOST_ITERATIONS)
        if method != "itq":
            raise ValueError(f"iterations: expected the method itq beside it, got {method}")


def principal_directions(centered: Matrix, bits: int, method: str) -> Matrix:
    """(bits, width) orthonormal directions of largest variance of centered features, (n, width), largest first.

    The sign of a direction is arbitrary: here its entry of largest magnitude is positive.

    Raises:
        ValueError: features that vary in fewer directions.
    """
    variances, vectors = np.linalg.eigh(centered.T @ centered)  # ascending, (width,) and (width, width)
    rank = int((variances > variances[-1] * max(centered.shape) * np.finfo(np.float64).eps).sum())
    if bits > rank:
        raise ValueError(
            f"bits: expected at most {rank} for {method}, as the features of {len(centered):,} images vary in no more "
            f"directions, got {bits}"
        )
    directions = vectors[:, ::-1].T[:bits]
    largest = np.abs(directions).argmax(axis=1)
    signed: Matrix = directions * np.sign(directions[np.arange(bits), largest])[:, None]
    return signed


def _pca(centered: Matrix, bits: int, _random: np.random.Generator, _iterations: int) -> Matrix:
    """Source: the baseline PCA-Direct of Gong and Lazebnik, Iterative Quantization, CVPR 2011."""
    return principal_directions(centered, bits, "pca")


def _itq(centered: Matrix, bits: int, random: np.random.Generator, iterations: int) -> Matrix:
    """Source: Gong and Lazebnik, Iterative Quantization: A Procrustean Approach to Learning Binary Codes, CVPR 2011."""
    directions = principal_directions(centered, bits, "itq")
    rotation = iterative_quantization(centered @ directions.T, random_rotation(bits, random), iterations)
    return rotation.T @ directions


def _rotation(centered: Matrix, bits: int, random: np.random.Generator, _iterations: int) -> Matrix:
    """Source: Jégou et al., Aggregating Local Descriptors into a Compact Image Representation, CVPR 2010.

    It is the baseline PCA-RR of Gong and Lazebnik, and what ITQ begins with.
    """
    directions = principal_directions(centered, bits, "rotation")
    return random_rotation(bits, random).T @ directions


def _lsh(centered: Matrix, bits: int, random: np.random.Generator, _iterations: int) -> Matrix:
    """Source: Charikar, Similarity Estimation Techniques from Rounding Algorithms, STOC 2002, section 3."""
    return random.standard_normal((bits, centered.shape[1]))


class FittedMethod(NamedTuple):
    """A way to find the directions of an affine map."""

    summary: str
    directions: Callable[[Matrix, int, np.random.Generator, int], Matrix]
    """Centered features (n, width), bits, generator, iterations -> (bits, width)."""
    is_unbounded: bool = False
    """Whether there may be more bits than the features are wide."""


METHODS: dict[str, FittedMethod] = {
    "pca": FittedMethod("principal directions", _pca),
    "itq": FittedMethod("principal directions, rotated so that signs lose least", _itq),
    "rotation": FittedMethod("principal directions, rotated at random", _rotation),
    "lsh": FittedMethod("random directions", _lsh, is_unbounded=True),
}
"""Name -> method."""


def _checked_features(features: ArrayLike) -> Matrix:
    array = as_array("features", features)
    if array.dtype.kind != "f":
        raise TypeError(f"features: expected floats, got {array.dtype}")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"features: expected (n, width) of at least one image, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("features: expected finite numbers, got NaN or infinity")
    return array.astype(np.float64)
