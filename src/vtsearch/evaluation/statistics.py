"""Bootstrap confidence intervals and a paired permutation test: the bootstrap and a permutation test.

Sums are of whole numbers and random numbers come straight from PCG64, whose stream numpy never changes: a seed gives
the same digits on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vtsearch import _validate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000
PERMUTATIONS = 10_000

_BLOCK = 2**14  # drawn numbers at a time: the arrays stay in the cache
_DIGITS = 40  # bits that a score keeps, relative to the largest: as many as average precision has correct
_WHOLE_BITS = 62  # sums of whole numbers stay below 2 ** 62


@dataclass(frozen=True)
class Interval:
    """A mean over queries, with the range that other samples of queries could give."""

    mean: float
    low: float
    high: float
    confidence: float
    """How often such ranges hold the mean over all queries that there could be."""
    resamples: int
    seed: int


@dataclass(frozen=True)
class PermutationTest:
    """Whether a mean difference over queries is more than chance."""

    difference: float
    """The mean of the first scores minus that of the others."""
    p_value: float
    """How often chance alone gives a difference as large, in either direction."""
    permutations: int
    """Arrangements of signs that were tried."""
    exact: bool
    """Whether these are all there are."""
    seed: int


def bootstrap_interval(
    scores: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of query scores with its bootstrap confidence interval.

    BCa (bias-corrected and accelerated): percentiles of the means of resampled queries, moved by the bias and the skew
    of the scores. Average precisions are skewed and end at 0 and 1; plain percentiles then miss more often on one side.

    Args:
        scores: (q,) finite numbers, one for each query, q at least 2; differences of two scores give a paired interval.
        confidence: how often such intervals hold the mean, between 0 and 1.
        resamples: how many samples of q queries are drawn, at least 1; below 1,000 the ends are rough.
        seed: of the draws, at least 0.

    Returns:
        low <= high; both are the mean if all scores are alike. Memory does not grow with resamples times q.

    Raises:
        TypeError: scores that are not numbers; confidence that is not a number; resamples or seed that are not ints.
        ValueError: scores that are not (q,), not finite or fewer than 2; confidence not between 0 and 1; resamples
            below 1; seed below 0.

    Source:
        Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979; BCa: Efron, "Better
        bootstrap confidence intervals", JASA 1987.

    Example:
        >>> import vtsearch
        >>> found = vtsearch.bootstrap_interval([0.9, 0.8, 1.0, 0.2, 0.7, 0.95, 0.85, 0.6])
        >>> print(f"{found.mean:.3f}, {found.low:.3f} to {found.high:.3f}")
        0.750, 0.513 to 0.869
    """
    values = _validate.score_vector("scores", scores, least=2)
    confidence = _validate.open_share("confidence", confidence)
    resamples = _validate.whole_number("resamples", resamples, 1)
    seed = _validate.whole_number("seed", seed, 0)
    units, exponent = _whole(values)
    sums = np.sort(_resampled_sums(units, resamples, seed))
    low, high = (math.ldexp(end / len(units), exponent) for end in _bca(units, sums, confidence))
    return Interval(float(np.mean(values)), low, high, confidence, resamples, seed)


def permutation_test(
    scores: ArrayLike, other_scores: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> PermutationTest:
    """Whether two sets of scores of the same queries differ in their mean: a paired permutation test, two-sided.

    If the two systems were alike, either could have got either score of a query: the sign of each difference could as
    well be the other. The p-value is the share of such arrangements whose mean difference is at least as far from 0.

    Args:
        scores: (q,) finite numbers, one for each query, q at least 1.
        other_scores: (q,) scores of the same queries in the same order.
        permutations: how many arrangements are tried, at least 1; all, once each, where there are no more than that.
        seed: of the arrangements, at least 0.

    Returns:
        p = arrangements that count / all of them, or (1 + those that count) / (1 + permutations) of random ones.

    Raises:
        TypeError: scores that are not numbers; permutations or seed that are not ints.
        ValueError: scores that are not (q,), not finite or none; another number of other_scores; permutations below
            1; seed below 0.

    Source:
        Fisher, "The design of experiments", 1935, section 21; for retrieval: Smucker, Allan and Carterette, "A
        comparison of statistical significance tests for information retrieval evaluation", CIKM 2007.

    Example:
        >>> import vtsearch
        >>> found = vtsearch.permutation_test([0.9, 0.8, 0.7, 0.6, 0.5], [0.8, 0.6, 0.4, 0.6, 0.1])
        >>> print(f"{found.difference:.2f}, p = {found.p_value}, {found.permutations} arrangements")
        0.20, p = 0.125, 16 arrangements
    """
    values = _validate.score_vector("scores", scores, least=1)
    others = _validate.score_vector("other_scores", other_scores, least=1)
    if len(others) != len(values):
        raise ValueError(f"other_scores: expected {len(values)} scores, one for each of scores, got {len(others)}")
    permutations = _validate.whole_number("permutations", permutations, 1)
    seed = _validate.whole_number("seed", seed, 0)
    differences = values - others
    units, _ = _whole(differences)
    units = units[units != 0]  # 0 has no sign
    exact = len(units) < _WHOLE_BITS and 2 ** len(units) <= permutations
    tried = 2 ** len(units) if exact else permutations
    # A score is off by half a unit at most: arrangements that are alike but for that count as alike.
    least = abs(int(units.sum())) - len(units)
    hits = sum(int((np.abs(sums) >= least).sum()) for sums in _signed_sums(units, tried, None if exact else seed))
    p_value = hits / tried if exact else (1 + hits) / (1 + tried)
    return PermutationTest(float(np.mean(differences)), p_value, tried, exact, seed)


def _whole(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Values as whole multiples of 2 ** exponent: their sums are exact, in any order and on any machine."""
    _, above = math.frexp(float(np.abs(values).max()))  # all are below 2 ** above
    exponent = above - min(_DIGITS, _WHOLE_BITS - len(values).bit_length())
    return np.rint(np.ldexp(values, -exponent)).astype(np.int64), exponent


def _resampled_sums(units: NDArray[np.int64], resamples: int, seed: int) -> NDArray[np.int64]:
    """(resamples,) sums of as many values as there are, drawn with replacement."""
    n = len(units)
    sums = np.empty(resamples, dtype=np.int64)
    draw = np.random.PCG64(seed)
    for start, stop in _blocks(resamples, n):
        words = draw.random_raw((stop - start, (n + 1) // 2)).astype("<u8", copy=False)
        # The upper half of (32 random bits) * n is a whole number below n, even to n / 2 ** 32.
        places = words.view("<u4")[:, :n].astype(np.uint64) * n >> 32
        sums[start:stop] = units[places.view(np.int64)].sum(axis=1)
    return sums


def _signed_sums(units: NDArray[np.int64], arrangements: int, seed: int | None) -> Iterator[NDArray[np.int64]]:
    """Sums of the values under arrangements of signs, in blocks: random ones, or without a seed all there are."""
    n, total = len(units), units.sum()
    draw = None if seed is None else np.random.PCG64(seed)
    for start, stop in _blocks(arrangements, n):
        if draw is None:
            words = np.arange(start, stop, dtype=np.uint64)[:, None]
        else:
            words = draw.random_raw((stop - start, (n + 63) // 64))
        bits = np.unpackbits(words.astype("<u8", copy=False).view(np.uint8), axis=1, count=n, bitorder="little")
        yield total - 2 * np.where(bits.view(np.bool_), units, 0).sum(axis=1)


def _blocks(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BLOCK // max(1, columns))
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def _bca(units: NDArray[np.int64], sums: NDArray[np.int64], confidence: float) -> tuple[int, int]:
    """The two of these sorted sums between which the interval lies."""
    from statistics import NormalDist  # noqa: PLC0415 (3 ms that importing the package does without)

    normal, count, total = NormalDist(), len(sums), units.sum()
    below, above = int((sums < total).sum()), int((sums > total).sum())
    centered = units - total / len(units)
    spread = float((centered**2).sum())
    if spread == 0:
        return int(total), int(total)
    # Shares of 0 and 1, which very few resamples may give, have no place on the normal scale.
    share = min(max(0.5 + (below - above) / (2 * count), 0.5 / count), 1 - 0.5 / count)
    bias, skew = normal.inv_cdf(share), float((centered**3).sum()) / (6 * spread**1.5)
    edge = normal.inv_cdf((1 - confidence) / 2)

    def outside(bias: float, skew: float) -> int:
        """How many sums lie beyond the lower end; mirrored, beyond the upper."""
        moved = bias + edge
        level = normal.cdf(bias + moved / max(1 - skew * moved, 1e-9))
        return min(max(math.floor(level * (count + 1)), 1), count) - 1

    return int(sums[outside(bias, skew)]), int(sums[count - 1 - outside(-bias, -skew)])
