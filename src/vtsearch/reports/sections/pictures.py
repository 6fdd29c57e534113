"""Queries with their answers as rows of pictures: the worst, the best, and of indexes without labels a sample."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.evaluation.samples import sampled_positions
from vtsearch.ranking import rank
from vtsearch.reports.document import Answered, Block, Item, Pictures, Section, Text
from vtsearch.reports.retrievals import are_relevant, label_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.reports.subjects import Pair, Side, Subject
    from vtsearch.reports.thumbnails import Thumbnails

ANSWERS = 10
OF_A_CLASS = 2
"""Best queries of one class at most: many are equally good, and those of one class look alike."""


def pictures(subjects: Sequence[Subject], count: int, thumbnails: Thumbnails) -> Section | None:
    """Rows of pictures of some subjects; None without codes, or with a count of 0.

    Args:
        subjects: each with codes.
        count: queries of each kind.
        thumbnails: where the pictures go.
    """
    blocks: list[Block] = []
    for subject in subjects if count else ():
        if subject.pair is not None:
            more = len(subjects) > 1
            blocks += _of(subject, subject.pair, count, thumbnails, named=more)
    if not blocks:
        return None
    title = "Items" if all(subject.scores_of_codes is None for subject in subjects) else "Queries"
    return Section(title, blocks, f"{title} with their nearest neighbours and the Hamming distances of these.")


def _of(subject: Subject, pair: Pair, count: int, thumbnails: Thumbnails, *, named: bool) -> list[Block]:
    suffix = f": {subject.name}" if named else ""
    note = f"{subject.method}, {subject.bits} bits{_seed(subject)}; items at equal distance in the order of the index."
    if subject.scores_of_codes is None:
        nearest = _nearest_distances(pair)
        order = np.argsort(nearest, kind="stable")
        sample = sampled_positions(len(pair.query), count)
        kinds = {"Sampled items": sample.tolist(), "Items with the nearest neighbours": order[:count].tolist()}
        return [Pictures(f"{kind}{suffix}", rows_of(pair, rows, thumbnails), note) for kind, rows in kinds.items()]
    scores = np.array(subject.scores_of_codes.average_precisions)
    if len(scores) != len(pair.query):
        return [Text(f"The codes of {subject.name} are not those of its scores.", "warning")]
    worst, best = worst_of(scores, count), best_of(scores, pair.query.labels, count)
    texts = {place: f"AP {100 * scores[place]:.1f} %" for place in (*worst, *best)}
    spread = f" At most {OF_A_CLASS} of a class."
    return [
        Pictures(f"Worst queries{suffix}", rows_of(pair, worst, thumbnails, texts), note),
        Pictures(f"Best queries{suffix}", rows_of(pair, best, thumbnails, texts), note + spread),
    ]


def _seed(subject: Subject) -> str:
    return "" if subject.run is None or subject.seed is None else f", seed {subject.seed}"


def worst_of(scores: NDArray[np.float64], count: int) -> list[int]:
    """The queries with the lowest scores, lowest first; of equal ones the first."""
    worst: list[int] = np.argsort(scores, kind="stable")[:count].tolist()
    return worst


def best_of(scores: NDArray[np.float64], labels: NDArray[np.generic] | None, count: int) -> list[int]:
    """The queries with the highest scores, highest first, at most two that have the same labels."""
    chosen: list[int] = []
    seen: dict[bytes, int] = {}
    for place in np.argsort(-scores, kind="stable").tolist():
        key = b"" if labels is None else np.asarray(labels[place]).tobytes()
        if labels is None or seen.get(key, 0) < OF_A_CLASS:
            chosen.append(place)
            seen[key] = seen.get(key, 0) + 1
        if len(chosen) == count:
            break
    return chosen


def rows_of(
    pair: Pair, places: Sequence[int], thumbnails: Thumbnails, texts: dict[int, str] | None = None
) -> list[Answered]:
    """Some queries with their nearest items."""
    chosen = np.asarray(places, dtype=np.int64)
    codes = np.concatenate(pair.query.codes.parts)[chosen]
    exclude = None if pair.exclude is None else pair.exclude[chosen]
    fewest = len(pair.database) - (0 if exclude is None else 1)
    found = rank(codes, pair.database.codes, min(ANSWERS, fewest), exclude=exclude)
    rows = []
    for place, distances, indices in zip(places, found.distances.tolist(), found.indices.tolist(), strict=True):
        relevant = _relevant(pair, place, indices)
        (query,) = _items(pair, pair.query, [place], thumbnails)
        items = _items(pair, pair.database, indices, thumbnails)
        marks: Sequence[bool | None] = relevant or [None] * len(indices)
        answers = [
            replace(item, distance=distance, relevant=mark)
            for item, distance, mark in zip(items, distances, marks, strict=True)
        ]
        rows.append(Answered(query, answers, (texts or {}).get(place, "")))
    return rows


def _relevant(pair: Pair, place: int, indices: Sequence[int]) -> list[bool] | None:
    if pair.query.labels is None or pair.database.labels is None:
        return None
    return are_relevant(pair.query.labels[place], pair.database.labels[np.asarray(indices)])


def _items(pair: Pair, side: Side, places: Sequence[int], thumbnails: Thumbnails) -> list[Item]:
    ids = side.ids_at(places)
    return [
        Item(
            id=ids[place],
            names=() if side.labels is None else label_names(side.labels[place], pair.classes),
            picture=None if side.load is None else thumbnails.add(side.load(place)),
        )
        for place in places
    ]


def _nearest_distances(pair: Pair) -> NDArray[np.int32]:
    codes = np.concatenate(pair.query.codes.parts)
    found: NDArray[np.int32] = rank(codes, pair.database.codes, 1, exclude=pair.exclude).distances[:, 0]
    return found
