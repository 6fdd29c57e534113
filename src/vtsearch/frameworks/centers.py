"""Class centers: their base class, codes far apart, and the constructions of published code.

Sources: Yuan et al., Central Similarity Quantization, CVPR 2020, https://arxiv.org/abs/1908.00347, algorithm 1;
Paley, On orthogonal matrices, 1933; the Gilbert-Varshamov bound for the guaranteed distance of the search. Published
constructions, where two classes may get centers that are close or equal: Dubey et al., Vision Transformer Hashing, ICME
2022, the random rows of its code; Fan et al., Deep Polarized Network, IJCAI 2020,
https://www.ijcai.org/proceedings/2020/115, Bernoulli targets; Hoe et al., One Loss for All, NeurIPS 2021,
https://arxiv.org/abs/2109.14449, likewise.
"""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from vtsearch.frameworks.base import Framework, first_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

Construction = Literal["distant", "redrawn", "balanced", "bernoulli"]
REDRAWS = 20
ORDERS = 64  # of the added bits, when a center grows from one length to the next
DRAWS = 4096  # candidates per round of the search
ROUNDS = 8  # rounds before the search lowers a distance above the guaranteed one
ENUMERATED_BITS = 16  # up to here all codes are candidates, in random order


class CenterBasedFramework(Framework):
    """A framework with a center for each class; its options have ``centers`` and ``multi_label``."""

    centers: Tensor
    tie: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        centers = draw_centers(self.options.centers, classes, bits, seed)
        self.register_buffer("centers", centers)  # (classes, bits) of -1, +1
        self.register_buffer("tie", tie_vector(bits, seed))  # (bits,) of -1, +1

    def share_bits(self, shorter: Sequence[Framework]) -> None:
        """Centers that are far from each other in every prefix; a bit has one vote in even ones."""
        share_centers(self, shorter)
        for each in shorter:
            each.get_buffer("tie").copy_(self.tie[: each.bits])

    def centers_of(self, labels: Tensor) -> Tensor:
        """The center of each item, (b, classes) of 0 and 1 -> (b, bits): by majority, or that of the first label."""
        if self.options.multi_label == "first":
            labels = first_label(labels)
        return majority_centers(self.centers.to(labels.dtype), labels, self.tie.to(labels.dtype))


def majority_centers(centers: Tensor, labels: Tensor, tie: Tensor) -> Tensor:
    """The center of each item: bit by bit the majority of its classes' centers.

    Args:
        centers: (classes, bits) of -1 and +1.
        labels: (b, classes) of 0 and 1.
        tie: (bits,) of -1 and +1; used where votes are even, so in every bit of an item without labels.

    Returns:
        (b, bits) of -1 and +1.
    """
    votes = labels @ centers
    return torch.where(votes == 0, tie, votes.sign())


def tie_vector(bits: int, seed: int = 0) -> Tensor:
    """A random tie-breaker for even votes: float32 (bits,) of -1 and +1."""
    return torch.randint(2, (bits,), generator=torch.Generator().manual_seed(seed)).float() * 2 - 1


def share_centers(longest: Framework, shorter: Sequence[Framework]) -> None:
    """Give frameworks with the buffer ``centers`` those of ``nested_centers``."""
    lengths = [*(each.bits for each in shorter), longest.bits]
    centers = nested_centers(longest.options.centers, longest.classes, lengths, longest.seed)
    for each in (*shorter, longest):
        each.get_buffer("centers").copy_(centers[:, : each.bits])


def nested_centers(construction: Construction, classes: int, lengths: Sequence[int], seed: int = 0) -> Tensor:
    """One code per class, float32 (classes, lengths[-1]) of -1 and +1, whose prefixes of these lengths are centers too.

    "distant": the bits of each step from one length to the next are centers of their own, and go to the classes in the
    order, of a number of random ones, that leaves the least distance largest: classes that are close so far get codes
    that are far from each other. Other constructions draw the longest codes alone.

    Raises:
        ValueError: more classes than codes of the shortest length; what ``draw_centers`` refuses.
    """
    if construction != "distant":
        return draw_centers(construction, classes, lengths[-1], seed)
    centers = class_centers(classes, lengths[0], seed)
    random = torch.Generator().manual_seed(seed)
    for before, bits in pairwise(lengths):
        enough = classes <= 2 ** (bits - before)
        added = draw_centers("distant" if enough else "bernoulli", classes, bits - before, seed + bits)
        orders = [torch.randperm(classes, generator=random) for _ in range(ORDERS)]
        candidates = [torch.cat([centers, added[order]], dim=1) for order in orders]
        centers = max(candidates, key=_least_distance)
    return centers


def _least_distance(centers: Tensor) -> tuple[float, int]:
    """The smallest distance of two centers, and minus the number of pairs that have it."""
    apart = (centers.shape[1] - centers @ centers.T).fill_diagonal_(torch.inf) / 2
    least = apart.min()
    return float(least), -int((apart == least).sum())


def draw_centers(construction: Construction, classes: int, bits: int, seed: int = 0) -> Tensor:
    """One code per class, float32 (classes, bits) of -1 and +1.

    Args:
        construction: "distant": ``class_centers``, no two alike. "redrawn": the first rows of [H; -H], H Sylvester's
            matrix, then balanced rows, which are redrawn at most 20 times until all pairs differ in more than a
            quarter of the bits and in half of them on average; otherwise the last draw is kept.
            "balanced": bits // 2 entries of each row are -1, without any other condition. "bernoulli": a fair
            coin for each entry.
        classes: number of rows.
        bits: length of the codes; a power of two for "redrawn".
        seed: of the draws.

    Raises:
        ValueError: an unknown construction, or a length that it does not support.
    """
    if construction not in CONSTRUCTIONS:
        raise ValueError(f"centers: expected one of {', '.join(CONSTRUCTIONS)}, got {construction!r}")
    return CONSTRUCTIONS[construction](classes, bits, seed)


def class_centers(classes: int, bits: int, seed: int = 0) -> Tensor:
    """One code per class, no two alike: float32 (classes, bits) of -1 and +1.

    If there is a Hadamard matrix H of that order (powers of two, p + 1 for primes p = 3 mod 4, and doublings:
    1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 44, 48, ...) and there are at most 2 * bits classes, the first rows of [H; -H]:
    any two differ in bits / 2 bits or in all. Otherwise codes are drawn at random (``seed``), Hadamard rows first, and
    kept if they differ from all kept ones in at least d bits; d starts at bits / 2 and is lowered when the draws find
    no more. It never falls below ``guaranteed_distance(classes, bits)``.

    Raises:
        ValueError: more classes than codes of that length, or counts below 1.
    """
    if classes < 1 or bits < 1:
        raise ValueError(f"classes, bits: expected at least 1, got {classes} and {bits}")
    if classes > 2**bits:
        raise ValueError(f"classes: expected at most 2**bits = {2**bits} different centers, got {classes}")
    matrix = hadamard(bits)
    rows = np.empty((0, bits), np.int8) if matrix is None else np.concatenate([matrix, -matrix])
    if len(rows) < classes:
        rows = _search(rows, classes, bits, np.random.Generator(np.random.PCG64(seed)))
    return torch.from_numpy(rows[:classes].astype(np.float32))


def hadamard(order: int) -> NDArray[np.int8] | None:
    """A Hadamard matrix, int8 (order, order) of -1 and +1, or None if this module has no construction of that order.

    Powers of two give Sylvester's matrix, in the row order of ``scipy.linalg.hadamard``.
    """
    if order == 1:
        return np.ones((1, 1), np.int8)
    if order & (order - 1) and order % 4 == 0 and _is_prime(order - 1):
        return _paley(order - 1)
    half = hadamard(order // 2) if order % 2 == 0 else None
    return None if half is None else np.block([[half, half], [half, -half]])


def guaranteed_distance(classes: int, bits: int) -> int:
    """The largest d at which each random draw of the search succeeds with probability one half or more.

    That is (classes - 1) * V(bits, d - 1) <= 2**(bits - 1), V the number of codes within d - 1 bits of a given one;
    at least 1: no two centers are alike.
    """
    ball, distance = 1, 1
    while distance < bits // 2 and 2 * (classes - 1) * (ball + math.comb(bits, distance)) <= 2**bits:
        ball += math.comb(bits, distance)
        distance += 1
    return distance


def _search(rows: NDArray[np.int8], classes: int, bits: int, random: np.random.Generator) -> NDArray[np.int8]:
    guaranteed = guaranteed_distance(classes, bits)
    for distance in range(max(bits // 2, 1), guaranteed, -1):
        found = _grow(rows, classes, distance, random, ROUNDS)
        if len(found) >= classes:
            return found
    # At the guaranteed distance every draw has an even chance (or all codes are enumerated), so this ends.
    return _grow(rows, classes, guaranteed, random, None)


def _grow(
    rows: NDArray[np.int8], classes: int, distance: int, random: np.random.Generator, rounds: int | None
) -> NDArray[np.int8]:
    """Rows and greedily chosen random codes, at least ``distance`` apart; at least ``classes`` if enough are found."""
    kept = rows.astype(np.float32)
    bits = rows.shape[1]
    # Sylvester's rows and their complements are a group under multiplication: with a code that is far from all of
    # a union of its cosets, the code's whole coset is. Unions of cosets pack far better than single codes.
    is_group = bits & (bits - 1) == 0
    coset = kept if is_group else np.ones((1, bits), np.float32)
    while len(kept) < classes and (rounds is None or rounds > 0):
        candidates = _candidates(bits, random)
        for candidate in candidates[_are_far(candidates, kept, distance)]:
            if len(kept) < classes and _are_far(candidate[None], kept, distance)[0]:
                kept = np.concatenate([kept, candidate * coset])
        rounds = None if rounds is None else rounds - 1
    return kept.astype(np.int8)


def _candidates(bits: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Random codes of -1 and +1, (m, bits); few bits: all codes, in random order."""
    if bits <= ENUMERATED_BITS:
        numbers = random.permutation(2**bits)
        return ((numbers[:, None] >> np.arange(bits)) & 1).astype(np.float32) * 2 - 1
    return random.integers(0, 2, size=(DRAWS, bits)).astype(np.float32) * 2 - 1


def _are_far(candidates: NDArray[np.float32], kept: NDArray[np.float32], distance: int) -> NDArray[np.bool_]:
    """Mask of the candidates that differ from every kept row in at least ``distance`` bits."""
    if not len(kept):
        return np.ones(len(candidates), np.bool_)
    far: NDArray[np.bool_] = (candidates @ kept.T).max(axis=1) <= candidates.shape[1] - 2 * distance
    return far


def _paley(prime: int) -> NDArray[np.int8]:
    """Order prime + 1, for a prime = 3 mod 4, from the squares modulo it."""
    squares = {(i * i) % prime for i in range(1, prime)}
    character = np.array([0] + [1 if i in squares else -1 for i in range(1, prime)], np.int8)
    matrix = np.ones((prime + 1, prime + 1), np.int8)
    matrix[1:, 1:] = character[(np.arange(prime)[None] - np.arange(prime)[:, None]) % prime] - np.eye(
        prime, dtype=np.int8
    )
    return matrix


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def _redrawn(classes: int, bits: int, seed: int) -> Tensor:
    if bits & (bits - 1):
        raise ValueError(f"bits: 'redrawn' centers exist for powers of two, got {bits}; 'distant' ones for any length")
    matrix = hadamard(bits)
    assert matrix is not None  # a power of two
    fixed = np.concatenate([matrix, -matrix]).astype(np.float32)[:classes]
    source = Random(seed)  # noqa: S311 (published seeds give the published rows)
    rows = fixed
    for _ in range(REDRAWS if classes > len(fixed) else 0):
        rows = np.concatenate([fixed, _balanced_rows(classes - len(fixed), bits, source)])
        if _are_spread(rows):
            break
    return torch.from_numpy(rows)


def _balanced(classes: int, bits: int, seed: int) -> Tensor:
    source = Random(seed)  # noqa: S311 (as above; the published code draws 20 times and keeps the last)
    draws = [_balanced_rows(classes, bits, source) for _ in range(REDRAWS)]
    return torch.from_numpy(draws[-1])


def _are_spread(rows: NDArray[np.float32]) -> bool:
    """Whether all pairs of rows differ in more than a quarter of the bits, and in half of them on average."""
    bits = rows.shape[1]
    distances = ((bits - rows @ rows.T) / 2)[np.triu_indices(len(rows), k=1)]
    return bool(distances.min() > bits / 4 and distances.mean() >= bits / 2)


def _balanced_rows(count: int, bits: int, source: Random) -> NDArray[np.float32]:
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
