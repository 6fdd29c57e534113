"""Queries by average precision, the classes that are taken for each other, and the pairs behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vtsearch import ranking
from vtsearch.evaluation import Interval, bootstrap_interval
from vtsearch.metrics import average_precision_of, relevance_histograms
from vtsearch.serve.facets import sample
from vtsearch.serve.wire import ClassScore, Confusion, MeanAveragePrecision, Mistake, Mistakes, Pair, Pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vtsearch.index.labels import Labels
    from vtsearch.serve.served_index import IndexState

    Progress = Callable[[int, int], object]

SAMPLED = 1_000
"""Queries."""
FIRST = 50
"""Results whose relevance is shown."""
COUNTED = 10
"""Results that count as taken for a class."""
MOST_CLASSES = 200


class Judged(NamedTuple):
    """A sample of queries with all that is said of it."""

    queries: NDArray[np.int64]
    """(q,) positions in the index of queries."""
    labels: Labels
    """Of the queries."""
    expected: NDArray[np.float64]
    """(q,) average precision over the whole database."""
    best: float
    worst: float
    interval: Interval | None
    indices: NDArray[np.int64]
    """(q, 50) nearest positions in the database."""
    distances: NDArray[np.int32]
    relevant: NDArray[np.bool_]
    """(q, 50)"""


def judged(database: IndexState, queries: IndexState, progress: Progress | None = None) -> Judged:
    """Queries of one index judged against another, or against the same without themselves; made once.

    Raises:
        ValueError: an index without labels or items; codes of another length, or labels of another form.
    """
    key = ("judged", queries.name, queries.generation)
    return database.kept.get(key, lambda: _judge(database, queries, progress), lambda made: made.indices.nbytes * 4)


def _judge(database: IndexState, queries: IndexState, progress: Progress | None) -> Judged:
    for name, state in (("index", database), ("queries", queries)):
        if state.labels is None:
            raise ValueError(f"{name}: expected an index with labels, got {state.name}, which has none")
        if not len(state):
            raise ValueError(f"{name}: expected an index with items, got {state.name}, which has none")
    if database.bits != queries.bits:
        raise ValueError(f"queries: expected codes of {database.bits} bits as in {database.name}, got {queries.bits}")
    assert queries.labels is not None
    rows = sample(len(queries), SAMPLED)
    codes, labels = queries.index.database().rows(rows), queries.labels[rows]
    exclude = rows if database.index.path == queries.index.path else None
    counted = relevance_histograms(codes, database.labelled, labels, exclude=exclude, progress=progress)
    best, worst = (float(average_precision_of(counted, ties=ties).mean()) for ties in ("best", "worst"))
    expected = average_precision_of(counted)
    distances, indices = ranking.rank(codes, database.scans.database(), FIRST, exclude=exclude, progress=progress)
    interval = bootstrap_interval(expected) if len(expected) > 1 else None
    relevant = _shared(labels, database, indices)
    return Judged(rows, labels, expected, best, worst, interval, indices, distances, relevant)


def _shared(labels: Labels, database: IndexState, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(q, k): whether each result shares a label with its query."""
    assert database.labels is not None
    found = database.labels[indices]
    shared = found == labels[:, None] if labels.ndim == 1 else (found & labels[:, None, :]).any(axis=2)
    return np.asarray(shared)


def mistakes(
    database: IndexState,
    queries: IndexState,
    *,
    label: int | None,
    offset: int,
    limit: int,
    progress: Progress | None = None,
) -> Mistakes:
    """The queries with the lowest average precision, of all classes or of one.

    Raises:
        ValueError: as ``judged``.
    """
    found = judged(database, queries, progress)
    chosen = np.arange(len(found.queries)) if label is None else np.flatnonzero(_has(found.labels, label))
    order = chosen[np.argsort(found.expected[chosen], kind="stable")]
    shown = order[offset : offset + limit]
    results = [
        Mistake(
            item=item,
            average_precision=float(found.expected[row]),
            relevance="".join("01"[same] for same in found.relevant[row].tolist()),
            wrong=int(np.count_nonzero(~found.relevant[row])),
        )
        for row, item in zip(shown.tolist(), queries.items(found.queries[shown].tolist()), strict=True)
    ]
    return Mistakes(
        index=database.name,
        queries=queries.name,
        sampled=len(found.queries),
        of=len(queries),
        map=_map(found),
        classes=_classes(found, queries),
        confusion=_confusion(found, database),
        total=len(order),
        offset=offset,
        results=results,
    )


def pairs(
    database: IndexState,
    queries: IndexState,
    *,
    row: int,
    column: int,
    limit: int,
    progress: Progress | None = None,
) -> Pairs:
    """Queries of one class with the results of another among their first ten, the nearest first.

    Raises:
        ValueError: as ``judged``; an index with several labels per item.
    """
    found = judged(database, queries, progress)
    if database.labels is None or database.labels.ndim != 1:
        raise ValueError(f"index: expected one label per item, got several in {database.name}")
    results = database.labels[found.indices[:, :COUNTED]]
    at, ranks = np.nonzero((results == column) & (found.labels == row)[:, None])
    order = np.argsort(found.distances[at, ranks], kind="stable")
    at, ranks = at[order], ranks[order]
    shown = slice(0, limit)
    of_query = queries.items(found.queries[at[shown]].tolist())
    of_result = database.items(found.indices[at[shown], ranks[shown]].tolist())
    distances = found.distances[at[shown], ranks[shown]].tolist()
    parts = zip(of_query, of_result, distances, ranks[shown].tolist(), strict=True)
    made = [Pair(query=query, found=item, distance=distance, rank=rank + 1) for query, item, distance, rank in parts]
    return Pairs(row=row, column=column, total=len(at), pairs=made)


def _has(labels: Labels, label: int) -> NDArray[np.bool_]:
    """Whether each query has a label."""
    if labels.ndim == 1:
        return np.asarray(labels == label)
    return labels[:, label] != 0 if 0 <= label < labels.shape[1] else np.zeros(len(labels), dtype=np.bool_)


def _map(found: Judged) -> MeanAveragePrecision:
    mean = float(found.expected.mean())
    low, high = (mean, mean) if found.interval is None else (found.interval.low, found.interval.high)
    return MeanAveragePrecision(expected=mean, best=found.best, worst=found.worst, low=low, high=high)


def _classes(found: Judged, queries: IndexState) -> list[ClassScore]:
    labels = found.labels
    numbers = np.unique(labels) if labels.ndim == 1 else np.flatnonzero(labels.any(axis=0))
    scores = []
    for number in numbers.tolist():
        mine = _has(labels, number)
        mean = float(found.expected[mine].mean())
        scores.append(
            ClassScore(label=number, name=queries.class_name(number), queries=int(np.count_nonzero(mine)), map=mean)
        )
    return scores


def _confusion(found: Judged, database: IndexState) -> Confusion | None:
    """Classes of results by class of the query; None with several labels per item, or with very many classes."""
    if database.labels is None or database.labels.ndim != 1:
        return None
    results = database.labels[found.indices[:, :COUNTED]]
    numbers = np.unique(np.concatenate([found.labels, results.ravel()]))
    if len(numbers) > MOST_CLASSES:
        return None
    rows = np.searchsorted(numbers, np.repeat(found.labels, results.shape[1]))
    columns = np.searchsorted(numbers, results.ravel())
    counts = np.zeros((len(numbers), len(numbers)), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    labels = numbers.tolist()
    return Confusion(
        top=results.shape[1],
        labels=labels,
        names=[database.class_name(each) for each in labels],
        counts=counts.tolist(),
    )
