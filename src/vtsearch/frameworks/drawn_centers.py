"""Class codes as published code draws them, beside ours: here two classes may get codes that are close, or the same.

Sources: Yuan et al., Central Similarity Quantization, CVPR 2020, https://arxiv.org/abs/1908.00347, and Dubey et al.,
Vision Transformer Hashing, ICME 2022, their code's random rows; Fan et al., Deep Polarized Network, IJCAI 2020,
https://www.ijcai.org/proceedings/2020/115, Bernoulli targets; Hoe et al., One Loss for All, NeurIPS 2021,
https://arxiv.org/abs/2109.14449, likewise.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from vtsearch.frameworks.centers import class_centers, hadamard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

Construction = Literal["distant", "redrawn", "balanced", "bernoulli"]
REDRAWS = 20


def draw_centers(construction: Construction, classes: int, bits: int, seed: int = 0) -> Tensor:
    """One code per class, float32 (classes, bits) of -1 and +1.

    Args:
        construction: "distant": ``class_centers``, no two alike. "redrawn": the first rows of [H; -H], H Sylvester's
            matrix, then balanced rows, which are redrawn at most 20 times until all pairs differ in more than a
            quarter of the bits and in half of them on average; the last draw is kept even if they do not.
            "balanced": bits // 2 entries of each row are -1, and nothing else is asked of them. "bernoulli": a fair
            coin for each entry.
        classes: number of rows.
        bits: length of the codes; a power of two for "redrawn".
        seed: of the draws.

    Raises:
        ValueError: an unknown construction, or a length that it cannot make.
    """
    if construction not in CONSTRUCTIONS:
        raise ValueError(f"centers: expected one of {', '.join(CONSTRUCTIONS)}, got {construction!r}")
    return CONSTRUCTIONS[construction](classes, bits, seed)


def _redrawn(classes: int, bits: int, seed: int) -> Tensor:
    if bits & (bits - 1):
        raise ValueError(f"bits: 'redrawn' centers exist for powers of two, got {bits}; 'distant' ones for any length")
    matrix = hadamard(bits)
    assert matrix is not None  # a power of two
    fixed = np.concatenate([matrix, -matrix]).astype(np.float32)[:classes]
    source = random.Random(seed)  # noqa: S311 (published seeds give the published rows)
    rows = fixed
    for _ in range(REDRAWS if classes > len(fixed) else 0):
        rows = np.concatenate([fixed, _balanced_rows(classes - len(fixed), bits, source)])
        if _are_spread(rows):
            break
    return torch.from_numpy(rows)


def _balanced(classes: int, bits: int, seed: int) -> Tensor:
    source = random.Random(seed)  # noqa: S311 (as above; the published code draws 20 times and keeps the last)
    draws = [_balanced_rows(classes, bits, source) for _ in range(REDRAWS)]
    return torch.from_numpy(draws[-1])


def _are_spread(rows: NDArray[np.float32]) -> bool:
    """Whether all pairs of rows differ in more than a quarter of the bits, and in half of them on average."""
    bits = rows.shape[1]
    distances = ((bits - rows @ rows.T) / 2)[np.triu_indices(len(rows), k=1)]
    return bool(distances.min() > bits / 4 and distances.mean() >= bits / 2)


def _balanced_rows(count: int, bits: int, source: random.Random) -> NDArray[np.float32]:
    """Rows of +1 with -1 in half of the places; an odd length has one more +1."""
    rows = np.ones((count, bits), np.float32)
    for row in rows:
        row[source.sample(range(bits), bits // 2)] = -1
    return rows


def _bernoulli(classes: int, bits: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, (classes, bits), generator=generator).float() * 2 - 1


CONSTRUCTIONS: Mapping[str, Callable[[int, int, int], Tensor]] = {
    "distant": class_centers,
    "redrawn": _redrawn,
    "balanced": _balanced,
    "bernoulli": _bernoulli,
}
