"""How training went: losses and scores by epoch, times, and whether the database holds the training set."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from vtsearch.reports.document import NONE, Axis, Block, Cell, Chart, Panel, Section, Series, Table
from vtsearch.reports.groups import lengths_of, methods_of, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vtsearch.reports.groups import Group
    from vtsearch.reports.saved_run import SavedRun
    from vtsearch.reports.subjects import Subject

WHERE = {"query": "the protocol's queries", "validation": "held-out training images, among themselves"}
"""On what an epoch was evaluated, in words."""


def overlap(subjects: Sequence[Subject]) -> Section | None:
    """Whether the database holds the training set: such a database is partly known by heart. None without codes."""
    rows: list[list[Cell | str]] = []
    for subject in subjects:
        line = _overlap_line(subject)
        if line not in rows:
            rows.append(line)
    if not rows:
        return None
    head = ["database", "items", "training images", "of them in the database"]
    note = (
        "By the positions in the run's split. A model knows its training images; a database that holds them gives "
        "higher scores than one that does not. Queries are never training images."
    )
    lead = "Does the database hold the training set?"
    return Section("Training images in the database", [Table("Overlap", head, rows, note)], lead)


def _overlap_line(subject: Subject) -> list[Cell | str]:
    if subject.run is None or subject.run.overlap is None:
        items = "" if subject.pair is None else f"{len(subject.pair.database):,}"
        return [subject.name, items or NONE, "not known", "not known"]
    found = subject.run.overlap
    share = f" ({100 * found.shared / found.training:.0f} %)" if found.training else ""
    held = f"{found.shared:,}{share}" if found.shared else "none"
    return [subject.protocol, f"{found.database:,}", f"{found.training:,}", held]


def training(groups: Sequence[Group]) -> Section | None:
    """Curves by epoch, means over seeds; None without runs."""
    trained = [group for group in groups if _runs(group)]
    charts = [
        _chart("Loss", trained, _losses, "Mean loss of each epoch."),
        *(_chart(f"mAP on {words}", trained, _scores(on), "Expected under ties.") for on, words in WHERE.items()),
    ]
    blocks: list[Block] = [chart for chart in charts if chart is not None]
    return Section("Training", blocks, "Means over the seeds of each method.") if blocks else None


def _runs(group: Group) -> list[SavedRun]:
    return [subject.run for subject in group.subjects if subject.run is not None]


def _losses(run: SavedRun) -> dict[int, float]:
    return _by_epoch(run.events, "loss", event="epoch")


def _scores(on: str) -> Callable[[SavedRun], dict[int, float]]:
    return lambda run: _by_epoch(run.events, "expected", event="evaluation", on=on)


def _by_epoch(events: Sequence[Mapping[str, Any]], name: str, **wanted: str) -> dict[int, float]:
    """Epoch -> value in the events of one kind; a resumed run's last word counts."""
    chosen = [event for event in events if all(event.get(key) == value for key, value in wanted.items())]
    numbers = (int, float)
    return {
        event["epoch"]: float(event[name])
        for event in chosen
        if isinstance(event.get("epoch"), int) and isinstance(event.get(name), numbers)
    }


def _chart(
    title: str, groups: Sequence[Group], values: Callable[[SavedRun], dict[int, float]], note: str
) -> Chart | None:
    series = {group: _mean_by_epoch([values(run) for run in _runs(group)]) for group in groups}
    if not any(len(points) > 1 for points in series.values()):
        return None
    if len(methods_of(groups)) == 1:
        panels = [Panel("", [Series(f"{group.bits} bits", series[group]) for group in groups])]
    else:
        panels = [
            Panel(f"{bits} bits", [Series(group.method, series[group]) for group in groups if group.bits == bits])
            for bits in lengths_of(groups)
        ]
    high = 1.0 if title.startswith("mAP") else None
    label = "mAP" if high else title.lower()
    return Chart(title, "lines", Axis("epoch"), Axis(label, 0 if high else None, high), panels, note)


def _mean_by_epoch(runs: Sequence[dict[int, float]]) -> list[tuple[float, float]]:
    """Means over the runs, at epochs that all of them have."""
    if not runs:
        return []
    shared = set(runs[0]).intersection(*runs[1:])
    return [(float(epoch), statistics.fmean(run[epoch] for run in runs)) for epoch in sorted(shared)]


def timing(groups: Sequence[Group]) -> Section | None:
    """Times of training; None without runs."""
    rows = [_time_line(group) for group in groups if any(run.result for run in _runs(group))]
    if not rows:
        return None
    head = ["method", "bits", "epochs", "seconds", "images/s", "best epoch", "chosen on", "threads", "device"]
    note = "Training alone, evaluation excluded; ±: sample standard deviation over seeds."
    return Section("Time", [Table("Time of training", head, rows, note)])


def _time_line(group: Group) -> list[Cell | str]:
    runs = [run for run in _runs(group) if run.result]

    def mean(name: str) -> str:
        values = [float(run.result[name]) for run in runs if name in run.result]
        return summary(values).text(1, factor=1) if values else NONE

    def seen(values: list[Any]) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in values if value is not None)) or NONE

    return [
        group.method,
        str(group.bits),
        seen([run.result.get("epochs") for run in runs]),
        mean("seconds"),
        mean("images_per_second"),
        seen([run.result.get("best_epoch") for run in runs]),
        seen([run.result.get("chosen_on") for run in runs]),
        seen([run.environment.get("threads") for run in runs]),
        seen([run.environment.get("device") for run in runs]),
    ]
