"""Two sets of codes of the same images: which retrieves better, by how much, and whether that may be chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vtsearch import _database, _selection
from vtsearch._database import Database
from vtsearch.evaluation.statistics import (
    CONFIDENCE,
    PERMUTATIONS,
    RESAMPLES,
    Interval,
    PermutationTest,
    bootstrap_interval,
    permutation_test,
)
from vtsearch.metrics import average_precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from vtsearch._exclusions import Exclude
    from vtsearch.metrics import Normalizer, Ties


@dataclass(frozen=True)
class Comparison:
    """The result of ``compare``, with its settings."""

    queries: int
    database: int
    """Items that a query may find; the most, where masks or exclusions differ."""
    k: int | None
    """Length of the list that counts; None is the whole database."""
    ties: Ties
    normalizer: Normalizer
    mean_average_precision: float
    other_mean_average_precision: float
    difference: Interval
    """Of the first mAP minus the other, over the same resampled queries on both sides."""
    test: PermutationTest
    """Whether the difference is more than chance."""
    better: int
    """Queries whose average precision is higher than with the other codes."""
    worse: int
    """Queries whose average precision is lower; the rest are equal to 12 digits."""


def compare(
    query_codes: NDArray[np.uint8],
    db_codes: NDArray[np.uint8] | Database,
    other_query_codes: NDArray[np.uint8],
    other_db_codes: NDArray[np.uint8] | Database,
    *,
    query_labels: ArrayLike,
    db_labels: ArrayLike,
    k: int | None = None,
    ties: Ties = "expected",
    normalizer: Normalizer = "retrieved",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    threads: int | None = None,
) -> Comparison:
    """mAP@k of two sets of codes of the same queries and items, their difference with its interval, and a p-value.

    Queries differ much in how hard they are, for both sets alike: a comparison query by query sees what the intervals
    of the two mAPs hide.

    Args:
        query_codes: (q, bytes) uint8, packed; q at least 2.
        db_codes: (n, bytes) uint8 of the same width; n at least 1.
        other_query_codes: (q, other bytes) uint8: the same queries in the same order; of any length.
        other_db_codes: (n, other bytes) uint8: the same items in the same order.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels.
        k: positions that count, at least 1; None, or more than there are, means all.
        ties: "expected", "index", "best" or "worst", as for ``average_precision``.
        normalizer: "retrieved", "relevant" or "min", as for ``average_precision``.
        confidence: of the interval, between 0 and 1.
        resamples: samples of queries drawn for the interval, at least 1.
        permutations: arrangements of signs tried for the p-value, at least 1.
        seed: of both, at least 0.
        mask: (n,) bool, or (q, n) with a row for each query, or packed bits, as for ``rank``; of both sides.
        exclude: positions that a query ignores: (q,), a sequence of q arrays, or "self", as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.

    Returns:
        A positive difference means that the first codes are better. ``bootstrap_interval`` says how the interval is
        made, ``permutation_test`` how the p-value is.

    Raises:
        TypeError: as ``average_precision``, ``bootstrap_interval`` and ``permutation_test``.
        ValueError: as these three; fewer than 2 queries; other numbers of queries or items on the other side.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1], [1, 1, 1, 0]])
        >>> labels = [0, 0, 1, 1]
        >>> others = vtsearch.pack([[0, 1], [1, 0], [0, 1], [1, 0]])
        >>> found = vtsearch.compare(codes, codes, others, others, query_labels=labels, db_labels=labels, k=2)
        >>> found.mean_average_precision, found.other_mean_average_precision, found.difference.mean, found.test.p_value
        (1.0, 0.75, 0.25, 0.125)
    """
    chosen = _selection.select(query_codes, db_codes, mask, exclude)
    sides = chosen.queries.codes, chosen.database
    others = _database.query_and_database(
        other_query_codes, other_db_codes, names=("other_query_codes", "other_db_codes")
    )
    _check_counts(sides, others)
    options: dict[str, Any] = {"ties": ties, "normalizer": normalizer, "exclude": exclude, "threads": threads}
    scores, other_scores = (
        average_precision(queries, codes, query_labels, db_labels, k, mask=mask, **options)
        for queries, codes in ((sides[0], db_codes), (others[0], other_db_codes))
    )
    differences = (scores - other_scores).round(12)
    return Comparison(
        queries=len(sides[0]),
        database=int(chosen.allowed().max()),
        k=None if k is None else int(k),
        ties=ties,
        normalizer=normalizer,
        mean_average_precision=float(scores.mean()),
        other_mean_average_precision=float(other_scores.mean()),
        difference=bootstrap_interval(scores - other_scores, confidence=confidence, resamples=resamples, seed=seed),
        test=permutation_test(scores, other_scores, permutations=permutations, seed=seed),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
    )


def _check_counts(sides: tuple[Any, Any], others: tuple[Any, Any]) -> None:
    if len(sides[0]) < 2:
        raise ValueError(f"query_codes: expected at least 2 queries to compare over, got {len(sides[0])}")
    for name, codes, other in zip(("query_codes", "db_codes"), sides, others, strict=True):
        if len(other) != len(codes):
            raise ValueError(f"other_{name}: expected {len(codes)} codes, one for each of {name}, got {len(other)}")
