"""Average precision of one order: tied items by index."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database, _labels, _native, _validate
from vtsearch._answers import each_group, ranked, stacked
from vtsearch._selection import Group, Selection
from vtsearch.metrics.histograms import (
    Normalizer,
    RelevanceHistograms,
    Scores,
    histogram_blocks,
    histograms_of,
    kernel_arguments,
)

RANKED_BYTES = 2**30
"""Rankings of all queries, at most, that are built to read a database in ranges."""

_RANKED_BYTES_PER_RESULT = 36  # twelve bytes: found before, in a range, and both in one


def precision_by_index(
    selection: Selection,
    labels: _labels.Labels,
    k: int,
    *,
    normalizer: Normalizer,
    threads: int,
    progress: _validate.Progress | None,
    histograms: RelevanceHistograms | None = None,
) -> Scores:
    """Average precision at k, (q,), of validated arguments; k is at most the number of items.

    ``histograms`` of the same arguments spare a scan.

    The kernel needs all codes at once. A database that is scanned in ranges is ranked instead, a block of queries at a
    time, as only the top k and the number of relevant items count.
    """
    queries, database = len(selection.queries), selection.database
    whole = _database.Scan(database, queries, progress).whole
    at_once = len(database.parts) == 1 and (whole or _RANKED_BYTES_PER_RESULT * k * queries > RANKED_BYTES)
    method = functools.partial(_counted, histograms=histograms) if at_once else _ranked
    answer = functools.partial(method, labels=labels, k=k, normalizer=normalizer, threads=threads)
    masked = at_once or selection.excludes_many(k)
    return stacked(list(each_group(selection, answer, progress, masked=masked)))


def _counted(
    group: Group,
    progress: _validate.Progress | None,
    *,
    labels: _labels.Labels,
    k: int,
    normalizer: Normalizer,
    threads: int,
    histograms: RelevanceHistograms | None,
) -> Scores:
    """By the kernel, which takes a database of one part."""
    whole = _database.Range(0, len(group.database), group.database.parts[0])
    db_rows = labels.database(whole.first, whole.stop)
    if histograms is None:
        counted = histogram_blocks(group, None, labels=labels, threads=threads)
    else:
        counted = iter([(histograms.items[group.start : group.stop], histograms.relevant[group.start : group.stop])])
    scores, start = [], 0
    for items, relevant in counted:
        block = group.part(start, start + len(items))
        mine = labels.of_queries(block.start, block.stop)
        scores.append(
            _native.average_precision_by_index(
                *kernel_arguments(block, whole, mine, db_rows),
                items=items,
                relevant=relevant,
                k=k,
                normalizer=normalizer,
                threads=threads,
                weights=block.queries.weights,
            )
        )
        start += len(items)
    if progress is not None:
        progress(whole.stop, whole.stop)
    return stacked(scores) if scores else np.empty(0)


def _ranked(
    group: Group,
    progress: _validate.Progress | None,
    *,
    labels: _labels.Labels,
    k: int,
    normalizer: Normalizer,
    threads: int,
) -> Scores:
    """By rankings of a block of queries at a time."""
    count = len(group.queries)
    stages = 1 if normalizer == "retrieved" else 2
    sums, met = np.zeros(count), np.zeros(count, dtype=np.int64)
    step = max(RANKED_BYTES // (_RANKED_BYTES_PER_RESULT * k), 1)
    for start in range(0, count, step):
        block = group.part(start, min(start + step, count))
        report = _database.stage(progress, start // step, stages * -(-count // step))
        _, found, kept = ranked(block, k, threads, report)
        for row, items in enumerate(found):
            chosen = items if kept is None else items[kept[row]][:k]
            sums[start + row], met[start + row] = _precisions(chosen, labels, block.start + row)
    if normalizer != "retrieved":
        again = _database.stage(progress, 1, stages)
        relevant = histograms_of(group, again, labels=labels, threads=threads).relevant_totals
        met = relevant if normalizer == "relevant" else np.minimum(relevant, k)
    return np.divide(sums, met, out=np.zeros(count), where=met > 0)


def _precisions(items: NDArray[np.int64], labels: _labels.Labels, q: int) -> tuple[float, int]:
    """The sum of precisions at the relevant items of a ranking, and how many they are."""
    rows = labels.of(items)
    shared = np.isin(rows.classes, labels.queries.rows(q, q + 1).classes)
    relevant = np.bincount(np.repeat(np.arange(len(items)), np.diff(rows.offsets))[shared], minlength=len(items)) > 0
    places = np.flatnonzero(relevant)
    precisions = np.arange(1, len(places) + 1) / (places + 1)
    in_index_order = np.cumsum(precisions[np.argsort(items[places])])  # as the engine adds: equal to the last digit
    return float(in_index_order[-1]) if len(places) else 0.0, len(places)
