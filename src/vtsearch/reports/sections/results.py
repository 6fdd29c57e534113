"""The one table that a reader wants: methods by bits, mean ± deviation over seeds, with the bounds by ties."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from vtsearch.reports.document import NONE, Block, Cell, Group, Row, Section, Table, Text
from vtsearch.reports.groups import Setting, best_of, by_setting, is_grid, lengths_of, methods_of, titles_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vtsearch.reports.groups import Group as Scores

SPREAD = "±: sample standard deviation over seeds. "
TIES = "Ties: mAP in the worst and the best order of items at equal distance."
INTERVALS = "Interval: 95 %, over samples of queries (BCa bootstrap, 10,000 resamples, seed 0)."
EVERY = "P@r≤2: precision within radius 2, the hash lookup. Chance: the share of relevant items in the database."
VOTE = " Vote: the share of queries whose class most of the 20 nearest items have."


def results(groups: Sequence[Scores]) -> Section | None:
    """The main tables, one for each setting, with a longer one where lengths are columns; None without scores."""
    if not groups:
        return None
    blocks: list[Block] = []
    settings = by_setting(groups)
    titles = titles_of(settings)
    for setting, alike in settings.items():
        title = titles[setting]
        blocks += _warnings(setting, alike)
        if len(lengths_of(alike)) > 1 and is_grid(alike):
            blocks += [_pivot(setting, alike, title), _long(setting, alike, title, folded=True)]
        else:
            blocks.append(_long(setting, alike, title, folded=False))
        blocks += _symmetric(alike)
    return Section("Results", blocks, _lead(groups) if len(settings) == 1 else "")


def _lead(groups: Sequence[Scores]) -> str:
    best = best_of(groups)
    assert best is not None
    if len(groups) == 1:
        return f"{best.setting.map_name} {best.score.text()} percent, with {best.bits} bits."
    return f"Highest: {best.method} with {best.bits} bits, {best.setting.map_name} {best.score.text()} percent."


def _warnings(setting: Setting, groups: Sequence[Scores]) -> list[Block]:
    texts = [f"This is {setting.remark}. Do not set it beside published numbers."] if setting.remark else []
    texts += dict.fromkeys(
        f"Warning: {subject.context.warning}."
        for group in groups
        for subject in group.subjects
        if subject.context.warning
    )
    return [Text(text, "warning") for text in texts]


def _symmetric(groups: Sequence[Scores]) -> list[Block]:
    """What the score would be if the model encoded the database, where its codes were learned in another way."""
    blocks: list[Block] = []
    for group in groups:
        found = [each.context for each in group.subjects if each.context.symmetric is not None]
        if found:
            score = statistics.fmean(each.symmetric for each in found if each.symmetric is not None)
            how = f"the codes of the database are {found[0].database_codes}"
            blocks.append(Text(f"{group.name}: {how}; encoded by the model like the queries, {100 * score:.2f}."))
    return blocks


def _pivot(setting: Setting, groups: Sequence[Scores], title: str) -> Table:
    """Methods by lengths."""
    lengths = lengths_of(groups)
    found = {(group.method, group.bits): group for group in groups}
    tops = {bits: best_of([group for group in groups if group.bits == bits]) for bits in lengths}
    several = len(methods_of(groups)) > 1
    rows: list[Row] = [
        [method, *(_cell(found.get((method, bits)), tops[bits] if several else None) for bits in lengths)]
        for method in methods_of(groups)
    ]
    return Table(
        f"{setting.map_name}{title}",
        ["method", *(f"{bits} bits" for bits in lengths)],
        rows + _baselines(groups, lengths),
        f"Percent; {setting}. {_explained(groups)}" + (" Bold: the highest of a length." if several else ""),
    )


def _explained(groups: Sequence[Scores]) -> str:
    return (SPREAD if any(group.score.deviation is not None for group in groups) else "") + TIES


def _cell(group: Scores | None, top: Scores | None) -> Cell:
    if group is None:
        return Cell(NONE)
    return Cell(group.score.text(), f"ties {range_of(*group.bounds)}", strong=group is top)


def _baselines(groups: Sequence[Scores], lengths: Iterable[int]) -> list[Row]:
    """Baselines that every run of a length has, averaged over all runs of that length."""
    found: dict[str, dict[int, list[float]]] = {}
    for group in groups:
        for subject in group.subjects:
            for name, value in subject.context.baselines.items():
                found.setdefault(name, {}).setdefault(group.bits, []).append(value)
    if not found:
        return []
    lines: list[Row] = [Group("without training")]
    for name, values in found.items():
        cells = [Cell(f"{100 * statistics.fmean(values[bits]):.2f}" if bits in values else NONE) for bits in lengths]
        lines.append([name, *cells])
    return lines


def _long(setting: Setting, groups: Sequence[Scores], title: str, *, folded: bool) -> Table:
    """A line for each method and length."""
    several = len(groups) > 1 and not folded
    best = best_of(groups)
    seeded = any(subject.seed is not None for group in groups for subject in group.subjects)
    voted = any(each.vote is not None for group in groups for each in group.evaluations)
    rows: list[Row] = []
    for group in groups:
        within = statistics.fmean(each.precision_within_2 for each in group.evaluations)
        chance = statistics.fmean(each.chance for each in group.evaluations)
        interval = group.interval
        rows.append(
            [
                Cell(group.method),
                Cell(str(group.bits)),
                Cell(group.score.text(), strong=several and group is best),
                Cell(range_of(*group.bounds)),
                Cell(NONE if interval is None else range_of(interval.low, interval.high)),
                Cell(f"{100 * within:.2f}"),
                Cell(f"{100 * chance:.2f}"),
                *([Cell(_vote(group))] if voted else []),
                *([Cell(group.seeds)] if seeded else []),
            ]
        )
    head = ["method", "bits", setting.map_name, "ties", "interval", "P@r≤2", "chance"]
    columns = [*head, *(["vote"] if voted else []), *(["seeds"] if seeded else [])]
    name = "Every number" if folded else setting.map_name
    return Table(
        name + title,
        columns,
        rows + ([] if folded else _long_baselines(groups, len(columns) - 3)),
        f"Percent; {setting}. {_explained(groups)} {INTERVALS} {EVERY}{VOTE if voted else ''}",
        folded=folded,
    )


def _vote(group: Scores) -> str:
    """The mean over the runs of a group that have it."""
    votes = [each.vote for each in group.evaluations if each.vote is not None]
    return f"{100 * statistics.fmean(votes):.2f}" if votes else NONE


def _long_baselines(groups: Sequence[Scores], rest: int) -> list[Row]:
    lengths = lengths_of(groups)
    found: list[Row] = []
    for line in _baselines(groups, lengths):
        if isinstance(line, Group):
            found.append(line)
            continue
        cells = zip(lengths, line[1:], strict=True)
        found += [[line[0], str(bits), cell, *[NONE] * rest] for bits, cell in cells]
    return found


def range_of(low: float, high: float) -> str:
    """Two shares in percent: ``91.20 to 95.06``."""
    return f"{100 * low:.2f} to {100 * high:.2f}"
