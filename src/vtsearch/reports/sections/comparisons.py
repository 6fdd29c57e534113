"""Paired tests between methods, over the same queries."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.evaluation import Interval, PermutationTest, bootstrap_interval, permutation_test
from vtsearch.reports.document import Block, Cell, Section, Table
from vtsearch.reports.groups import best_of, by_setting, is_grid, lengths_of, methods_of, titles_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vtsearch.reports.groups import Group, Setting

ALL_PAIRS = 4
"""Groups up to which each is compared with each; of more, the best one with the others."""
CLEAR = 0.05
HEAD = ("first", "second", "difference", "interval", "p", "p, Holm", "better, worse, equal")
HOW = (
    "Average precision of each query, averaged over the seeds with the same queries. Difference: first minus second, "
    "in points, with its 95 % interval (paired BCa bootstrap, 10,000 resamples, seed 0); p: paired permutation test, "
    "two-sided, 10,000 arrangements of signs; Holm: corrected for all tests of this table. Bold: below 0.05. The tests "
    "speak of other queries, not of other trainings"
)


@dataclass(frozen=True)
class Paired:
    """Two groups on the queries that both have."""

    first: Group
    second: Group
    queries: int
    difference: Interval
    test: PermutationTest
    better: int
    worse: int


def comparisons(groups: Sequence[Group]) -> Section | None:
    """Tests of methods at the same length, or of lengths where there is one method; None without any."""
    blocks: list[Block] = []
    settings = by_setting(groups)
    titles = titles_of(settings)
    for setting, alike in settings.items():
        found = [paired for pair in pairs_of(alike) if (paired := compared(*pair)) is not None]
        if found:
            blocks.append(_table(setting, found, f"Paired tests{titles[setting]}"))
    return Section("Differences", blocks, "Is a difference more than the choice of queries?") if blocks else None


def pairs_of(groups: Sequence[Group]) -> list[tuple[Group, Group]]:
    """The pairs to compare."""
    if len(methods_of(groups)) == 1 or not is_grid(groups):
        return _pairs(groups)
    by_length = ([group for group in groups if group.bits == bits] for bits in lengths_of(groups))
    return [pair for alike in by_length for pair in _pairs(alike)]


def _pairs(groups: Sequence[Group]) -> list[tuple[Group, Group]]:
    if len(groups) <= ALL_PAIRS:
        return list(combinations(groups, 2))
    best = best_of(groups)
    assert best is not None
    return [(best, group) for group in groups if group is not best]


def compared(first: Group, second: Group) -> Paired | None:
    """Two groups, compared query by query; None if they have fewer than two queries in common."""
    mine, theirs = first.by_query(), second.by_query()
    shared = [key for key in mine if key in theirs and len(mine[key]) == len(theirs[key])]
    if sum(len(mine[key]) for key in shared) < 2:
        return None
    scores, others = (np.concatenate([side[key] for key in shared]) for side in (mine, theirs))
    differences = (scores - others).round(12)
    return Paired(
        first,
        second,
        len(scores),
        bootstrap_interval(scores - others),
        permutation_test(scores, others),
        int((differences > 0).sum()),
        int((differences < 0).sum()),
    )


def holm(p_values: Iterable[float]) -> list[float]:
    """p-values corrected for their number.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
    """
    values = list(p_values)
    corrected, most = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        most = max(most, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = most
    return corrected


def _table(setting: Setting, found: Sequence[Paired], title: str) -> Table:
    corrected = holm(each.test.p_value for each in found)
    rows = [_row(each, value) for each, value in zip(found, corrected, strict=True)]
    queries = sorted({each.queries for each in found})
    count = f"{queries[0]:,}" if len(queries) == 1 else f"{queries[0]:,} to {queries[-1]:,}"
    note = f"{setting}. {HOW}; {count} pairs of average precisions."
    return Table(title, HEAD, rows, note, texts=2)


def _row(paired: Paired, corrected: float) -> list[Cell | str]:
    interval, test = paired.difference, paired.test
    equal = paired.queries - paired.better - paired.worse
    return [
        paired.first.name,
        paired.second.name,
        Cell(_signed(test.difference), strong=corrected < CLEAR),
        f"{_signed(interval.low)} to {_signed(interval.high)}",
        probability(test.p_value),
        Cell(probability(corrected), strong=corrected < CLEAR),
        f"{paired.better:,}, {paired.worse:,}, {equal:,}",
    ]


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "\N{MINUS SIGN}")


def probability(p: float) -> str:
    """A p-value; 10,000 arrangements tell nothing below 0.0001."""
    return "< 0.0002" if p < 0.0002 else f"{p:.4f}"
