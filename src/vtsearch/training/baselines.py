"""Codes of the baselines of a run: what the backbone, a linear classifier and chance reach without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.codes import pack
from vtsearch.encoding.evaluation import Sides

if TYPE_CHECKING:
    from numpy.typing import NDArray

PENALTY = 1e-3
"""Of the classifier's squared weights, relative to the mean square of a feature."""


def random_projection(
    query: NDArray[np.float32], database: NDArray[np.float32], bits: int, random: np.random.Generator
) -> Sides:
    """Signs of a random projection of (q, width) and (n, width) features, centered on the database.

    Source: Charikar, Similarity Estimation Techniques from Rounding Algorithms, STOC 2002.
    """
    center, projection = database.mean(axis=0), random.standard_normal((database.shape[1], bits))
    return Sides(pack((query - center) @ projection), pack((database - center) @ projection), bits)


def coin_flips(queries: int, items: int, bits: int, random: np.random.Generator) -> Sides:
    """Codes that know nothing."""
    return Sides(pack(random.random((queries, bits)) > 0.5), pack(random.random((items, bits)) > 0.5), bits)


def class_codes(
    query: NDArray[np.float32],
    database: NDArray[np.float32],
    train: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> Sides:
    """One bit for each class, set for the one that a linear classifier of features (·, width) takes an image for.

    The classifier is a ridge regression of the classes on the training images' features. What such codes reach,
    supervised hashing has to beat: they know nothing but the class.

    Args:
        query: (q, width).
        database: (n, width).
        train: (m, width), m at least 1.
        labels: (m,) class numbers of the training images.
    """
    names, classes = np.unique(labels, return_inverse=True)
    center = train.mean(axis=0)
    known = (train - center).astype(np.float64)
    targets = np.eye(len(names))[classes]
    offset = targets.mean(axis=0)
    gram = known.T @ known
    ridge = PENALTY * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram + ridge, known.T @ (targets - offset))

    def codes(side: NDArray[np.float32]) -> NDArray[np.uint8]:
        chosen = ((side - center) @ weights + offset).argmax(axis=1)
        return pack(np.arange(len(names)) == chosen[:, None])

    return Sides(codes(query), codes(database), len(names))
