"""Average precision of one order: tied items by index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database, _labels, _native, _validate
from vtsearch.metrics.histograms import ROW_BYTES, Normalizer, Scores, histograms_of, label_arrays

RANKED_BYTES = 2**30
"""Rankings of all queries, at most, that are built to read a database in ranges."""

_RANKED_BYTES_PER_RESULT = 36  # twelve bytes: found before, in a range, and both in one


def precision_by_index(
    queries: _validate.Codes,
    database: _database.Database,
    labels: _labels.Labels,
    k: int,
    *,
    normalizer: Normalizer,
    threads: int,
    progress: _validate.Progress | None,
) -> Scores:
    """Average precision at k, (q,), of validated arguments; k is at most the number of items.

    The kernel needs all codes at once. A database that is scanned in ranges is ranked instead, a block of queries at a
    time, as only the top k and the number of relevant items count.
    """
    stages = 1 if normalizer == "retrieved" else 2
    scan = _database.Scan(database, len(queries), _database.stage(progress, 0, stages))
    ranked = _RANKED_BYTES_PER_RESULT * k
    if len(database.parts) == 1 and (scan.whole or ranked * len(queries) > RANKED_BYTES):
        rows = *label_arrays(labels.queries), *label_arrays(labels.database(0, scan.items)), labels.classes
        scores = _native.average_precision_by_index(queries, database.parts[0], *rows, k, normalizer, threads)
        if progress is not None:
            progress(scan.items, scan.items)
        return scores
    sums, met = np.zeros(len(queries)), np.zeros(len(queries), dtype=np.int64)
    step = max(RANKED_BYTES // ranked, 1)
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        report = _database.stage(progress, start // step, stages * -(-len(queries) // step))
        found = _database.scan_rank(block, _database.Scan(database, len(block), report), k, threads)[1]
        for q, items in enumerate(found, start=start):
            sums[q], met[q] = _precisions(items, labels, q)
    if normalizer != "retrieved":
        again = _database.Scan(database, len(queries), _database.stage(progress, 1, stages), beside=ROW_BYTES)
        relevant = histograms_of(queries, again, labels, threads).relevant.sum(axis=1)
        met = relevant if normalizer == "relevant" else np.minimum(relevant, k)
    return np.divide(sums, met, out=np.zeros(len(queries)), where=met > 0)


def _precisions(items: NDArray[np.int64], labels: _labels.Labels, q: int) -> tuple[float, int]:
    """The sum of precisions at the relevant items of a ranking, and how many they are."""
    rows = labels.of(items)
    shared = np.isin(rows.classes, labels.queries.rows(q, q + 1).classes)
    relevant = np.bincount(np.repeat(np.arange(len(items)), np.diff(rows.offsets))[shared], minlength=len(items)) > 0
    places = np.flatnonzero(relevant)
    precisions = np.arange(1, len(places) + 1) / (places + 1)
    in_index_order = np.cumsum(precisions[np.argsort(items[places])])  # as the engine adds: equal to the last digit
    return float(in_index_order[-1]) if len(places) else 0.0, len(places)
