"""Queries with their nearest answers, ready to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vtsearch._database import Database
from vtsearch.ranking import rank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image


@dataclass(frozen=True)
class RetrievalRow:
    """A query and its answers, for a picture."""

    query: Image
    title: str
    """Under the query: its class names or its id."""
    answers: Sequence[Image]
    distances: Sequence[int]
    relevant: Sequence[bool] | None = None
    """None without labels."""


class PicturedSide(NamedTuple):
    """Codes with a function that loads their images."""

    codes: NDArray[np.uint8] | Database
    """(n, bytes)"""
    labels: NDArray[np.generic]
    """int64 (n,), or 0/1 (n, classes)"""
    load: Callable[[int], Image]
    """The image of an item."""


def retrieval_rows(
    query: PicturedSide,
    database: PicturedSide,
    items: Sequence[int],
    classes: Sequence[str] = (),
    answers: int = 10,
    *,
    exclude: NDArray[np.int64] | None = None,
) -> list[RetrievalRow]:
    """Some queries with their nearest answers.

    Args:
        query: the queries, in one array.
        database: the items to retrieve.
        items: positions of the pictured queries.
        classes: names for the titles, by class id; by default the ids.
        answers: number of answers per query.
        exclude: (q,) position in the database that each of all queries ignores, -1 for none.
    """
    rows = None if exclude is None else exclude[np.asarray(items, dtype=np.int64)]
    fewest = len(database.codes) - (1 if rows is not None and (rows >= 0).any() else 0)
    if fewest == 0:
        return []
    found = rank(_chosen(query.codes, items), database.codes, min(answers, fewest), exclude=rows)
    return [
        RetrievalRow(
            query=query.load(item),
            title=label_text(query.labels[item], classes),
            answers=[database.load(position) for position in indices],
            distances=distances,
            relevant=are_relevant(query.labels[item], database.labels[indices]),
        )
        for item, distances, indices in zip(items, found.distances.tolist(), found.indices.tolist(), strict=True)
    ]


def _chosen(codes: NDArray[np.uint8] | Database, items: Sequence[int]) -> NDArray[np.uint8]:
    array = np.concatenate(codes.parts) if isinstance(codes, Database) else codes
    chosen: NDArray[np.uint8] = array[np.asarray(items, dtype=np.int64)]
    return chosen


def spread_over_classes(labels: NDArray[np.generic], count: int) -> list[int]:
    """At most ``count`` items, spread evenly over the classes and inside each; a 0/1 row counts for its first class."""
    first_class = labels if labels.ndim == 1 else np.argmax(labels != 0, axis=1)
    by_class = np.argsort(first_class, kind="stable")
    positions: list[int] = np.linspace(0, len(labels) - 1, min(count, len(labels))).astype(np.int64).tolist()
    return [int(by_class[position]) for position in positions]


def are_relevant(label: np.generic | NDArray[np.generic], labels: NDArray[np.generic]) -> list[bool]:
    """Whether each of ``labels`` shares a class with ``label``."""
    if labels.ndim == 1:
        return [bool(same) for same in labels == label]
    return [bool(row.any()) for row in (labels != 0) & (np.asarray(label) != 0)]


def label_text(label: np.generic | NDArray[np.generic], classes: Sequence[str] = ()) -> str:
    """The class name, or the names of all classes of a 0/1 row."""
    return ", ".join(label_names(label, classes))


def label_names(label: np.generic | NDArray[np.generic], classes: Sequence[str] = ()) -> list[str]:
    """The class name, or the names of all classes of a 0/1 row; a class without a name is its number."""
    numbers = [int(label)] if np.ndim(label) == 0 else np.flatnonzero(label).tolist()
    return [classes[number] if 0 <= number < len(classes) else str(number) for number in numbers]
