"""Items and relevant items by distance, the input of every metric that does not break ties by index."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _answers, _database, _labels, _native, _selection, _validate
from vtsearch._database import Database
from vtsearch._exclusions import Exclude
from vtsearch._selection import Group, Selection
from vtsearch.metrics import leave_out

Counts = NDArray[np.int64]
Sums = NDArray[np.float64]
Scores = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)
Normalizer = Literal["retrieved", "relevant", "min"]

LabelArrays = tuple[NDArray[np.int64], NDArray[np.int32]]
KernelArguments = tuple[_validate.Codes, _validate.Codes, *LabelArrays, *LabelArrays, int, NDArray[np.uint8] | None]

ROW_BYTES = 32
"""What the labels of one item take as rows, about, and on the way to them."""

HISTOGRAM_BYTES = 8 * 2**20
"""Histograms of a block of queries, about."""


@dataclass(frozen=True)
class RelevanceHistograms:
    """Counts by distance from each query, from ``relevance_histograms``; the input of the metrics.

    The histograms of the parts of a database add up to those of the whole: ``first + second``.

    Raises:
        ValueError: items and relevant that are not (q, bins) int64 of one shape with 0 <= relevant <= items; a sum with
            those of other queries or widths, or of one with gains and one without.
    """

    items: Counts
    """(q, bins): items at each distance."""
    relevant: Counts
    """(q, bins): those among them that share a label with the query."""
    gains: Sums | None = None
    """(q, bins): sum of the number of shared labels."""
    exponential_gains: Sums | None = None
    """(q, bins): sum of 2 ** (number of shared labels) - 1."""
    gain_counts: Counts | None = None
    """(q, most shared labels + 1): items of the database that share 0, 1, 2, ... labels with the query."""

    def __post_init__(self) -> None:
        for name, counts in (("items", self.items), ("relevant", self.relevant)):
            if counts.dtype != np.int64 or counts.ndim != 2 or counts.shape != self.items.shape:
                raise ValueError(f"{name}: expected int64 (q, bins) of one shape, got {counts.dtype} {counts.shape}")
        if (self.relevant < 0).any() or (self.relevant > self.items).any():
            raise ValueError("relevant: expected counts from 0 to those of items, got others")

    def __add__(self, other: RelevanceHistograms) -> RelevanceHistograms:
        """Those of two parts of a database, for the same queries, as those of both."""
        if not isinstance(other, RelevanceHistograms):
            return NotImplemented
        if self.items.shape != other.items.shape:
            raise ValueError(f"items: expected one shape in both, got {self.items.shape} and {other.items.shape}")
        if (self.gains is None) != (other.gains is None):
            raise ValueError("gains: expected in both or in neither, got in one")
        return RelevanceHistograms(
            self.items + other.items,
            self.relevant + other.relevant,
            _added(self.gains, other.gains),
            _added(self.exponential_gains, other.exponential_gains),
            _added(self.gain_counts, other.gain_counts),
        )

    @functools.cached_property
    def totals(self) -> Counts:
        """(q,): items at all distances."""
        return np.asarray(self.items.sum(axis=1))

    @functools.cached_property
    def relevant_totals(self) -> Counts:
        """(q,): relevant items at all distances."""
        return np.asarray(self.relevant.sum(axis=1))

    @functools.cached_property
    def within(self) -> Counts:
        """(q, bins): items at each distance or nearer."""
        return np.cumsum(self.items, axis=1)

    @functools.cached_property
    def relevant_within(self) -> Counts:
        """(q, bins): relevant items at each distance or nearer."""
        return np.cumsum(self.relevant, axis=1)


def relevance_histograms(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    query_labels: ArrayLike,
    db_labels: ArrayLike | None = None,
    *,
    gains: bool = False,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> RelevanceHistograms:
    """Items and relevant items at each distance from each query: all that the metrics under ties need.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``.
        query_labels: (q,) integers, or (q, classes) of 0 and 1.
        db_labels: (n,) or (n, classes), in the form of query_labels.
        gains: also sum the shared labels, as ``ndcg_at``, ``acg_at`` and ``wap_at`` need.
        mask: (n,) bool, or (q, n) with a row for each query, or packed bits, as for ``rank``; items whose mask is False
            are ignored.
        exclude: positions that a query ignores: (q,), a sequence of q arrays, or "self", as for ``rank``.
        weights: (q, bits) integers: what each bit of a query counts, as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.

    Returns:
        Arrays of (q, 8 * bytes + 1): 16 bytes per query and distance, 32 with gains. With weights, columns are as many
        as the largest sum of those of a query, and one.

    Raises:
        TypeError: codes that are not uint8; labels that are not numbers; a mask, positions or weights of another dtype;
            threads that are not an int; progress that is not a function.
        ValueError: shapes that do not fit; labels neither int (n,) nor 0/1 (n, classes); positions outside the
            database; weights that ``rank`` refuses; threads below 1.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 1]])
        >>> vtsearch.metrics.relevance_histograms(codes[:1], codes, [7], [1, 7, 5, 7]).relevant
        array([[0, 1, 0, 1, 0, 0, 0, 0, 0]])
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude, weights)
    labels = labels_of(selection, query_labels, db_labels)
    count, report = _validate.thread_count(threads), _validate.checked_progress(progress)
    return histograms_of_all(selection, report, labels=labels, threads=count, gains=gains)


def labels_of(selection: Selection, query_labels: ArrayLike, db_labels: ArrayLike | None) -> _labels.Labels:
    """Validated labels of queries and database; None stands for the labels that the database has."""
    truth = selection.database.labels_or(db_labels)
    return _labels.label_pair(query_labels, truth, len(selection.queries), len(selection.database))


def histograms_of_all(
    selection: Selection, progress: _validate.Progress | None, *, labels: _labels.Labels, threads: int, gains: bool
) -> RelevanceHistograms:
    """Those of all queries; arguments are checked."""
    answer = functools.partial(histograms_of, labels=labels, threads=threads, gains=gains)
    masked = gains and not leave_out.is_exact(labels, len(selection.database))
    return _joined(list(_answers.each_group(selection, answer, progress, masked=masked)))


def histograms_of(
    group: Group, progress: _validate.Progress | None, *, labels: _labels.Labels, threads: int, gains: bool = False
) -> RelevanceHistograms:
    """The sum over all ranges, less the excluded items; arguments are checked."""
    scan = group.scan(progress, beside=ROW_BYTES)
    mine = labels.of_queries(group.start, group.stop)
    found = functools.reduce(operator.add, (_of_range(group, each, mine, gains, threads) for each in scan))
    parts = found.gains, found.exponential_gains, found.gain_counts
    leave_out.subtract(group, mine, found.items, found.relevant, parts if gains else None)  # type: ignore[arg-type]
    return found


def _of_range(
    group: Group, each: _database.Range, labels: _labels.Labels, gains: bool, threads: int
) -> RelevanceHistograms:
    db_rows = labels.database(each.first, each.stop)
    parts, options = kernel_arguments(group, each, labels, db_rows), (threads, group.queries.weights)
    items, relevant = _native.relevance_histograms(*parts, *options)
    if not gains:
        return RelevanceHistograms(items, relevant)
    return RelevanceHistograms(items, relevant, *_native.gain_histograms(*parts, *options))


def kernel_arguments(
    group: Group, each: _database.Range, labels: _labels.Labels, db_rows: _labels.LabelRows
) -> KernelArguments:
    """Codes, label rows, number of classes and mask, as the engine takes them."""
    rows = *label_arrays(labels.queries), *label_arrays(db_rows)
    return (group.queries.codes, each.codes, *rows, labels.classes, _database.allowed_bits(group.mask, each))


def _joined(parts: Sequence[RelevanceHistograms]) -> RelevanceHistograms:
    """The histograms of groups of queries, one after the other."""
    names = ("items", "relevant", "gains", "exponential_gains", "gain_counts")[: 2 if parts[0].gains is None else None]
    return RelevanceHistograms(*(_answers.stacked_columns([getattr(each, name) for each in parts]) for name in names))


def _added(one: NDArray[Any] | None, other: NDArray[Any] | None) -> NDArray[Any] | None:
    """A sum by columns, of which the narrower array has none after its last: no item there shares more labels."""
    if one is None or other is None:
        return None
    wide, narrow = (one, other) if one.shape[1] >= other.shape[1] else (other, one)
    total = wide.copy()
    total[:, : narrow.shape[1]] += narrow
    return total


def histogram_blocks(
    group: Group, progress: _validate.Progress | None, *, labels: _labels.Labels, threads: int
) -> Iterator[tuple[Counts, Counts]]:
    """Histograms of a few thousand queries at a time: all of them at once may be larger than the codes.

    A database that goes by in ranges goes by once, so that all queries count it together.
    """
    scan = group.scan(progress, beside=ROW_BYTES)
    if not scan.whole:
        counted = histograms_of(group, progress, labels=labels, threads=threads)
        yield counted.items, counted.relevant
        return
    step = max(1, HISTOGRAM_BYTES // (16 * (group.queries.farthest + 1)))
    for each in scan:
        db_rows = labels.database(each.first, each.stop)
        for start in range(0, len(group.queries), step):
            block = group.part(start, min(start + step, len(group.queries)))
            mine = labels.of_queries(block.start, block.stop)
            parts = kernel_arguments(block, each, mine, db_rows)
            items, relevant = _native.relevance_histograms(*parts, threads, block.queries.weights)
            leave_out.subtract(block, mine, items, relevant)
            yield items, relevant


def top_positions(histograms: RelevanceHistograms, k: int) -> Counts:
    """(q,) positions in the top k, at least 1 as it is divided by."""
    return np.clip(histograms.totals, 1, _validate.whole_number("k", k, 1))


def top_sum(histograms: RelevanceHistograms, sums: NDArray[Any], k: int) -> Scores:
    """(q,) sums over the top k of a histogram; a group of ties at the cut counts in proportion."""
    return sum_of_first(histograms, sums, top_positions(histograms, k))


def sum_of_first(histograms: RelevanceHistograms, sums: NDArray[Any], top: Counts) -> Scores:
    """The same with a number of positions for each query, (q,), at most all."""
    rows = np.arange(len(histograms.items))
    last = np.minimum((histograms.within < top[:, None]).sum(axis=1), histograms.items.shape[1] - 1)  # of the cut
    items, tied = histograms.items[rows, last], sums[rows, last]
    share = (top - (histograms.within[rows, last] - items)) / np.maximum(items, 1)
    within = histograms.relevant_within if sums is histograms.relevant else np.cumsum(sums, axis=1)
    return np.asarray(within[rows, last] - tied + tied * share)


def label_arrays(rows: _labels.LabelRows) -> LabelArrays:
    """Label rows as the engine takes them."""
    return rows.offsets, rows.classes
