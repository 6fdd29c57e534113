"""Every number that a hashing paper prints, from codes and labels in one call."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vtsearch import _database, _selection, _validate
from vtsearch._database import Database
from vtsearch.evaluation.statistics import Interval, bootstrap_interval
from vtsearch.metrics import (
    RelevanceHistograms,
    acg_at,
    average_precision_of,
    ndcg_at,
    precision_at,
    precision_within,
    recall_at,
    recall_within,
    wap_at,
)
from vtsearch.metrics.by_index import precision_by_index
from vtsearch.metrics.histograms import histograms_of_all, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._exclusions import Exclude
    from vtsearch.metrics import Normalizer

CUT_OFFS = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
PUBLISHED_CURVE = (1, *range(500, 10_001, 500))
"""Where the published code measures precision and recall for its figure.

Source: Dubey et al., "Vision Transformer Hashing for Image Retrieval", ICME 2022, figure 2.
"""
LOOKUP_RADIUS = 2

_BITS_BYTES = 8  # codes of so many bytes that are all 0 or 1 are bits, one in each byte
_BITS_ROWS = 1000  # that are looked at


@dataclass(frozen=True)
class TiedScore:
    """A score under each rule for ties."""

    expected: float
    """The exact mean over all orders of tied items."""
    index: float
    """Tied items in the order of their index."""
    best: float
    """No order of tied items gives more."""
    worst: float
    """No order of tied items gives less."""


@dataclass(frozen=True)
class CutOff:
    """Means over the queries at the top n, expected under ties."""

    n: int
    precision: float
    recall: float


@dataclass(frozen=True)
class RadiusPoint:
    """Means over the queries within a Hamming radius; exact, because no ties are cut."""

    radius: int
    items: float
    """How many are found."""
    precision: float
    recall: float


@dataclass(frozen=True)
class Gains:
    """Scores where an item that shares more labels is worth more, at the evaluation's k, expected under ties."""

    ndcg: float
    acg: float
    wap: float


def map_name(k: int | None) -> str:
    """``mAP@1000``, or ``mAP@all``."""
    return f"mAP@{k or 'all'}"


@dataclass(frozen=True)
class Evaluation:
    """The result of ``evaluate``, with its settings."""

    queries: int
    database: int
    """Items that a query may find; the most, where masks or exclusions differ."""
    bits: int
    multi_label: bool
    k: int | None
    """Length of the list that counts; None is the whole database."""
    normalizer: Normalizer
    """Divisor of average precision."""
    mean_average_precision: TiedScore
    """mAP under each rule for ties."""
    bootstrap_interval: Interval | None
    """Bootstrap interval of the expected mAP over queries; None for a single query."""
    chance: float
    """The share of a query's relevant items in the database, averaged: the precision of a blind guess."""
    precision_within_2: float
    """P@radius<=2; a query that finds nothing counts 0."""
    cut_offs: tuple[CutOff, ...]
    published_curve: tuple[CutOff, ...]
    """At N = 1, 500, 1000, ..., 10000, as far as the database goes."""
    radius_curve: tuple[RadiusPoint, ...]
    """One point per distance 0..bits."""
    gains: Gains | None
    """For multi-label sets."""
    average_precisions: tuple[float, ...]
    """Expected average precision of each query: what intervals and paired tests need."""
    excluded: int = 0
    """Pairs of a query and an item that ``exclude`` left out."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as numbers, lists and dicts, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of ``to_dict``, also after JSON.

        Raises:
            TypeError: a key that is missing or unknown.
        """
        gains, interval = values.get("gains"), values.get("bootstrap_interval")
        parts = {
            "mean_average_precision": TiedScore(**values.get("mean_average_precision", {})),
            "bootstrap_interval": None if interval is None else Interval(**interval),
            "cut_offs": tuple(CutOff(**point) for point in values.get("cut_offs", ())),
            "published_curve": tuple(CutOff(**point) for point in values.get("published_curve", ())),
            "radius_curve": tuple(RadiusPoint(**point) for point in values.get("radius_curve", ())),
            "gains": None if gains is None else Gains(**gains),
            "average_precisions": tuple(values.get("average_precisions", ())),
        }
        return cls(**{**values, **parts})


def evaluate(
    query_codes: NDArray[np.uint8],
    db_codes: NDArray[np.uint8] | Database,
    query_labels: NDArray[np.generic],
    db_labels: NDArray[np.generic] | None = None,
    k: int | None = None,
    *,
    normalizer: Normalizer = "retrieved",
    bits: int | None = None,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """All scores of these codes: mAP@k with its tie bounds and its bootstrap interval, P@N, R@N, curves, and gains.

    The tie bounds cover the order of tied items, the interval the choice of queries.

    A larger file of codes is read in ranges, once or twice, as for ``average_precision``; mAP by index needs a k there.

    Args:
        query_codes: (q, bytes) uint8, packed; q at least 1.
        db_codes: (n, bytes) uint8 of the same width; n at least 1.
        query_labels: int64 (q,), or 0/1 (q, classes).
        db_labels: int64 (n,), or 0/1 (n, classes): the same form; None with a ``Database`` that has labels.
        k: length of the list that counts, at least 1; None, or more than n, means the whole database.
        normalizer: what average precision divides by: "retrieved", "relevant" or "min".
        bits: length of the codes, if their last byte has bits to spare; by default 8 per byte.
        mask: (n,) bool, or (q, n) with a row for each query, or packed bits, as for ``rank``; items whose mask is False
            are ignored.
        exclude: positions that a query ignores: (q,), a sequence of q arrays, or "self", as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scans go on.

    Raises:
        TypeError: codes that are not uint8, labels that are not numbers, bits that are not an int, a mask or positions
            of another dtype, progress that is not a function.
        ValueError: no queries or no database, other widths or lengths, k below 1, an unknown normalizer; bits that
            another number of bytes holds, or fewer than two codes differ in; codes that are not packed; a mask that
            allows nothing; positions outside the database.
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude)
    _check_codes(selection)
    width = selection.database.width
    bits = 8 * width if bits is None else _checked_bits(bits, width)
    labels = labels_of(selection, query_labels, db_labels)
    multi_label = _validate.as_array("query_labels", query_labels).ndim == 2
    count, report = _validate.thread_count(threads), _validate.checked_progress(progress)
    first, second = (_database.stage(report, number, 2) for number in range(2))
    histograms = histograms_of_all(selection, first, labels=labels, threads=count, gains=multi_label)
    _check_distances(histograms, bits)
    n = int(histograms.totals.max())
    if n == 0:
        raise ValueError("mask: expected at least one item that a query may find, got none")
    expected = average_precision_of(histograms, k, normalizer=normalizer)
    best = average_precision_of(histograms, k, ties="best", normalizer=normalizer)
    worst = average_precision_of(histograms, k, ties="worst", normalizer=normalizer)
    by_index = precision_by_index(
        selection,
        labels,
        _validate.cut_off(k, len(selection.database)),
        normalizer=normalizer,
        threads=count,
        progress=second,
        histograms=histograms,
    )
    return Evaluation(
        queries=len(expected),
        database=n,
        bits=bits,
        multi_label=multi_label,
        k=None if k is None else int(k),
        normalizer=normalizer,
        mean_average_precision=TiedScore(*map(_mean, (expected, by_index, best, worst))),
        bootstrap_interval=bootstrap_interval(expected) if len(expected) > 1 else None,
        chance=_mean(histograms.relevant_totals / np.maximum(histograms.totals, 1)),
        precision_within_2=_mean(precision_within(histograms, LOOKUP_RADIUS)),
        cut_offs=_cut_offs(histograms, CUT_OFFS, n),
        published_curve=_cut_offs(histograms, PUBLISHED_CURVE, n),
        radius_curve=tuple(_within(histograms, radius) for radius in range(bits + 1)),
        gains=_gains(histograms, n if k is None else k) if multi_label else None,
        average_precisions=tuple(expected.tolist()),
        excluded=0 if selection.excluded is None else int(selection.excluded.counts().sum()),
    )


def _check_codes(selection: _selection.Selection) -> None:
    """Raise if there are no codes, or if they hold one bit in each byte."""
    for name, parts in (("query_codes", [selection.queries.codes]), ("db_codes", selection.database.parts)):
        if not sum(map(len, parts)):
            raise ValueError(f"{name}: expected at least one code, got none")
        if all(map(_are_bits, parts)) and any(part[:_BITS_ROWS].any() for part in parts):
            raise ValueError(
                f"{name}: expected packed codes of 8 bits per byte, got {parts[0].shape[1]} bytes per code "
                f"that are all 0 or 1; use vtsearch.pack({name})"
            )


def _are_bits(codes: NDArray[np.uint8]) -> bool:
    """Whether the first codes hold a bit in each byte; short ones may by chance."""
    return codes.shape[1] >= _BITS_BYTES and bool((codes[:_BITS_ROWS] <= 1).all())


def _checked_bits(bits: Any, width: int) -> int:
    count = _validate.whole_number("bits", bits, 1)
    if not 8 * (width - 1) < count <= 8 * width:
        raise ValueError(f"bits: expected {8 * width - 7} to {8 * width} for codes of {width} bytes, got {count}")
    return count


def _check_distances(histograms: RelevanceHistograms, bits: int) -> None:
    if histograms.items[:, bits + 1 :].any():
        farthest = int(np.flatnonzero(histograms.items.any(axis=0)).max())
        raise ValueError(f"bits: expected at least {farthest}, the bits in which two codes differ, got {bits}")


def _cut_offs(histograms: RelevanceHistograms, at: Iterable[int], database: int) -> tuple[CutOff, ...]:
    return tuple(
        CutOff(n, _mean(precision_at(histograms, n)), _mean(recall_at(histograms, n))) for n in at if n <= database
    )


def _within(histograms: RelevanceHistograms, radius: int) -> RadiusPoint:
    found = histograms.within[:, radius]
    precision, recall = precision_within(histograms, radius), recall_within(histograms, radius)
    return RadiusPoint(radius, _mean(found), _mean(precision), _mean(recall))


def _gains(histograms: RelevanceHistograms, k: int) -> Gains:
    return Gains(_mean(ndcg_at(histograms, k)), _mean(acg_at(histograms, k)), _mean(wap_at(histograms, k)))


def _mean(scores: NDArray[np.float64] | NDArray[np.int64]) -> float:
    return float(np.mean(scores))
