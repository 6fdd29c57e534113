"""mAP by bits, precision by recall, precision and recall at N: means over the seeds of each method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.reports.document import Axis, Block, Chart, Panel, Section, Series
from vtsearch.reports.groups import by_setting, is_grid, lengths_of, methods_of, titles_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtsearch.reports.groups import Group, Setting

    Points = Callable[[Group], list[tuple[float, float]]]

WHOLE = Axis("recall", 0, 1)
BESIDE = 1.15
"""Room beside the shortest and the longest codes, as a factor."""


def curves(groups: Sequence[Group]) -> Section | None:
    """The curves of each setting; None without scores."""
    blocks: list[Block] = []
    settings = by_setting(groups)
    titles = titles_of(settings)
    for setting, alike in settings.items():
        title = titles[setting]
        if len(lengths_of(alike)) > 1 and is_grid(alike):
            blocks.append(_by_bits(setting, alike, title))
        blocks.append(_precision_recall(alike, title))
        blocks += _cut_offs(alike, title)
    lead = f"{next(iter(settings))}." if len(settings) == 1 else ""
    return Section("Curves", blocks, lead) if blocks else None


def _by_bits(setting: Setting, groups: Sequence[Group], title: str) -> Chart:
    series = []
    for method in methods_of(groups):
        mine = [group for group in groups if group.method == method]
        scores = [group.score for group in mine]
        spread = [score.deviation or 0.0 for score in scores] if any(score.deviation for score in scores) else []
        points = [(float(group.bits), score.mean) for group, score in zip(mine, scores, strict=True)]
        series.append(Series(method, points, spread))
    bits = [float(each) for each in lengths_of(groups)]
    return Chart(
        f"{setting.map_name} by bits{title}",
        "lines",
        Axis("bits", bits[0] / BESIDE, bits[-1] * BESIDE, "log", bits),
        Axis(setting.map_name),
        [Panel("", series)],
        "Bars: ± sample standard deviation over seeds." if any(each.spread for each in series) else "",
    )


def _precision_recall(groups: Sequence[Group], title: str) -> Chart:
    note = "One point for each Hamming radius that finds something; exact, because no ties are cut."
    name, precision = f"Precision by recall{title}", Axis("precision", 0, 1)
    return _panels(Chart(name, "lines", WHOLE, precision, (), note, "chance"), groups, _by_radius)


def _cut_offs(groups: Sequence[Group], title: str) -> list[Block]:
    places = [float(point.n) for point in groups[0].evaluations[0].cut_offs]
    if len(places) < 2:
        return []
    n = Axis("N", places[0], places[-1], "log", [place for place in places if str(int(place)).startswith("1")])
    note = "Items that tie at the cut count in proportion."
    precision = Chart(f"Precision at N{title}", "lines", n, Axis("precision", 0, 1), (), note, "chance")
    recall = Chart(f"Recall at N{title}", "lines", n, WHOLE, (), note)
    return [_panels(precision, groups, _precision_at), _panels(recall, groups, _recall_at)]


def _panels(chart: Chart, groups: Sequence[Group], points: Points) -> Chart:
    """A panel for each length, a curve for each method; what is not a grid has all curves in one panel."""
    if is_grid(groups) and len(methods_of(groups)) > 1:
        by_length = {bits: [group for group in groups if group.bits == bits] for bits in lengths_of(groups)}
        parts = [(f"{bits} bits", alike) for bits, alike in by_length.items()]
    else:
        parts = [("", list(groups))]
    panels = [
        Panel(
            title,
            [Series(_name(each, groups), points(each)) for each in alike],
            _chance(alike) if chart.reference else None,
        )
        for title, alike in parts
    ]
    return replace(chart, panels=panels)


def _name(group: Group, groups: Sequence[Group]) -> str:
    """What tells a group from the others of its panel."""
    if len(methods_of(groups)) == 1:
        return f"{group.bits} bits"
    return group.method if is_grid(groups) else group.name


def _chance(groups: Sequence[Group]) -> float:
    return float(np.mean([each.chance for group in groups for each in group.evaluations]))


def _by_radius(group: Group) -> list[tuple[float, float]]:
    """(recall, precision) within each radius at which something is found."""
    curves = np.array(
        [[(point.recall, point.precision, point.items) for point in each.radius_curve] for each in group.evaluations]
    ).mean(axis=0)
    return _pairs(curves[curves[:, 2] > 0, :2])


def _precision_at(group: Group) -> list[tuple[float, float]]:
    return _pairs(np.array([[(p.n, p.precision) for p in each.cut_offs] for each in group.evaluations]).mean(axis=0))


def _recall_at(group: Group) -> list[tuple[float, float]]:
    return _pairs(np.array([[(p.n, p.recall) for p in each.cut_offs] for each in group.evaluations]).mean(axis=0))


def _pairs(array: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in array]
