"""Classes: how well each is found, and what it is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.ranking import rank
from vtsearch.reports.document import Block, Cell, Confusion, Section, Table
from vtsearch.reports.retrievals import label_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.reports.subjects import Pair, Subject

TOP = 10
"""Answers of a query that are looked at."""
MOST_CELLS = 40
"""Classes up to which a matrix is shown."""
MOST_LINES = 20
"""Classes, or pairs of classes, in a table."""


def classes(subject: Subject | None) -> Section | None:
    """The classes of the subject with the highest score; None without labels or codes."""
    if subject is None or subject.pair is None or subject.scores_of_codes is None:
        return None
    pair, scores = subject.pair, np.array(subject.scores_of_codes.average_precisions)
    labels, truth = pair.query.labels, pair.database.labels
    if labels is None or truth is None or len(scores) != len(labels):
        return None
    seed = "" if subject.run is None or subject.seed is None else f", seed {subject.seed}"
    whose = f"{subject.method}, {subject.bits} bits{seed}"
    blocks: list[Block] = []
    if labels.ndim == 1:
        numbers, counts = confusion(pair)
        names = [label_text(number, pair.classes) for number in numbers]
        if 1 < len(numbers) <= MOST_CELLS:
            note = f"Percent of the first {TOP} answers; rows: class of the query, columns: of the answer. {whose}."
            blocks.append(Confusion("Confusion of classes", names, counts.tolist(), note))
        if len(numbers) > TOP:
            blocks += _confused(names, counts, whose)
    blocks.append(_by_class(pair, scores, labels, whose))
    return Section("Classes", blocks, f"How well each class is found, and what it is taken for: {whose}.")


def confusion(pair: Pair) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """(classes,) labels ascending, and (classes, classes) counts: the first 10 answers by class of query and answer."""
    labels, truth = pair.query.labels, pair.database.labels
    assert labels is not None
    assert truth is not None
    codes = np.concatenate(pair.query.codes.parts)
    most = min(TOP, len(pair.database) - (0 if pair.exclude is None else 1))
    found = rank(codes, pair.database.codes, most, exclude=pair.exclude).indices
    numbers = np.union1d(labels, truth[found])
    counts = np.zeros((len(numbers), len(numbers)), dtype=np.int64)
    rows = np.repeat(np.searchsorted(numbers, labels), most)
    np.add.at(counts, (rows, np.searchsorted(numbers, truth[found].ravel())), 1)
    return numbers, counts


def _confused(names: Sequence[str], counts: NDArray[np.int64], whose: str) -> list[Block]:
    """The pairs of classes that are confused most."""
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    order = [place for place in np.argsort(-wrong, axis=None, kind="stable").tolist() if wrong.flat[place]]
    if not order:
        return []
    rows: list[list[Cell | str]] = []
    for place in order[:MOST_LINES]:
        row, column = divmod(place, len(counts))
        share = counts[row, column] / counts[row].sum()
        rows.append([names[row], names[column], f"{counts[row, column]:,}", f"{100 * share:.1f}"])
    note = f"Among the first {TOP} answers; percent of those of the query's class. {whose}."
    return [Table("Most confused classes", ["query", "answer", "answers", "percent"], rows, note, texts=2)]


def _by_class(pair: Pair, scores: NDArray[np.float64], labels: NDArray[np.generic], whose: str) -> Table:
    """MAP of the queries of each class, lowest first; a query of several classes counts for each."""
    if labels.ndim == 1:
        members = {number: labels == number for number in np.unique(labels)}
    else:
        members = {number: labels[:, number] != 0 for number in range(labels.shape[1]) if labels[:, number].any()}
    means = sorted(((float(scores[mine].mean()), number, int(mine.sum())) for number, mine in members.items()))
    shown = means[:MOST_LINES]
    rows = [
        [label_text(np.int64(number), pair.classes), f"{count:,}", f"{100 * mean:.2f}"] for mean, number, count in shown
    ]
    more = f" The lowest {len(shown)} of {len(means)} classes." if len(means) > len(shown) else ""
    note = f"Lowest first; a query of several classes counts for each.{more} {whose}."
    return Table("mAP by class", ["class", "queries", "mAP in percent"], rows, note, narrow=True)
