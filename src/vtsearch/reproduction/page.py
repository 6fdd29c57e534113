"""The HTML page of a grid: the report of its runs, opened by tables beside the published numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.reports.document import (
    NONE,
    Axis,
    Block,
    Cell,
    Chart,
    Document,
    Group,
    Listing,
    Panel,
    Section,
    Series,
    Table,
    Text,
)
from vtsearch.reports.document import Row as Line
from vtsearch.reports.html_report import PICTURES, html_of, report_of
from vtsearch.reports.inputs import run_subject
from vtsearch.reports.markdown import ReportContext
from vtsearch.reports.subjects import Subject
from vtsearch.reproduction import tables
from vtsearch.reproduction.published import CONVOLUTIONAL, backbone_title
from vtsearch.reproduction.recipe import Recipe
from vtsearch.reproduction.tables import by_recipe, cells_of, framework_title, meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.reports.subjects import Images
    from vtsearch.reproduction.results import Collection, Finished, Row

LEAD = "Our mean average precision (mAP) beside that of Dubey et al., ICME 2022"
SEEN = {"all": "all tokens", "cls": "class token"}
FIGURE = (
    "Best epochs, means over runs, ties expected; one point for each k = 1, 500, 1000, ... as in figure 2 of the paper."
)


def page(collection: Collection, images: Images | None = None) -> str:
    """The HTML page of a collection; images are loaded as for a report."""
    return html_of(document(collection, images))


def document(collection: Collection, images: Images | None = None) -> Document:
    """The report of a collection."""
    subjects = subjects_of(collection, images)
    troubles = [section for section in (_troubles(collection),) if section is not None]
    opening = _opening(collection)
    if not subjects:
        return Document(tables.TITLE, tables.summary_line(collection), [opening, *troubles])
    return report_of(subjects, title=tables.TITLE, pictures=PICTURES, first=[opening], last=troubles)


def subjects_of(collection: Collection, images: Images | None) -> list[Subject]:
    """The finished runs, with the scores of their best epochs."""
    others = {(row.backbone, row.features) for row in collection.rows if row.runs}
    recipes = {row.recipe for row in collection.rows if row.runs}
    return [
        _subject(run, _method(row, plain=len(others) == 1, recipes=len(recipes)), images)
        for row in collection.rows
        for run in row.runs
    ]


def _method(row: Row, *, plain: bool, recipes: int) -> str:
    name = framework_title(row.framework)
    words = name if plain else f"{name}, {backbone_title(row.backbone)} {row.features}"
    return words if recipes == 1 else f"{words} ({row.recipe})"


def _subject(run: Finished, method: str, images: Images | None) -> Subject:
    cell = run.cell
    if run.saved is not None:
        found = run_subject(run.saved, cell.name, images, best=True)
    else:
        context = ReportContext(cell.protocol, framework=cell.framework, backbone=cell.backbone, seed=cell.seed)
        found = Subject(cell.name, method, cell.bits, cell.seed, run.best, context)
    return replace(found, method=method)


# ---------------------------------------------------------------------------------------------------------------------
# Beside the paper


def _opening(collection: Collection) -> Section:
    """All tables beside the published numbers."""
    asked = sorted({axes.table for axes in collection.request.axes if axes.table is not None})
    which = f", table {' and '.join(map(str, asked))}" if asked else ""
    blocks: list[Block] = [_recipe(str(collection.request.recipe))]
    for protocol in collection.protocols:
        blocks += _protocol(collection, protocol)
    return Section("Beside the paper", blocks, f"{LEAD}{which}. {_summary(collection)}")


def _summary(collection: Collection) -> str:
    compared = [row.difference for row in collection.rows if row.difference is not None]
    mean = f" Mean difference of {len(compared)} cells: {_signed(sum(compared) / len(compared))}." if compared else ""
    hours = sum(run.result.seconds for run in collection.finished) / 3600
    spent = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
    counts = tables.summary_line(collection).partition(" Asked for")[0]
    return f"{counts}{mean} {spent} of training."


def _recipe(text: str) -> Text:
    """A notice of changed settings."""
    changed = text != str(Recipe("paper"))
    return Text(f"{text}.{' This is not the published recipe.' if changed else ''}", "warning" if changed else "")


def _protocol(collection: Collection, protocol: str) -> list[Block]:
    rows = [row for row in collection.rows if row.protocol == protocol]
    blocks: list[Block] = []
    for recipe, alike in by_recipe(rows).items():
        if recipe != str(collection.request.recipe):  # shown at the top already
            blocks.append(_recipe(recipe))
        note = f"{meaning(alike, protocol)}; {recipe}."
        blocks += [_pivot(alike, protocol, note), _details(alike, protocol, note)]
    if methods := tables.earlier(collection, protocol):
        bits = sorted({each for _, values in methods for each in values})
        lines: list[Line] = [[name, *(values.get(each, NONE) for each in bits)] for name, values in methods]
        title = f"Earlier methods on {protocol}, as published (table 2)"
        blocks.append(Table(title, ["method", *(f"{each} bits" for each in bits)], lines))
    if any(row.runs for row in rows):
        blocks.append(_figure(rows, protocol))
    return blocks


def _pivot(rows: Sequence[Row], protocol: str, note: str) -> Table:
    """A table with code lengths side by side, as in the paper."""
    bits = sorted({row.bits for row in rows})
    found = {(row.backbone, row.features, row.framework, row.bits): row for row in rows}
    lines: list[Line] = []
    for backbone, features in dict.fromkeys((row.backbone, row.features) for row in rows):
        seen = "" if backbone in CONVOLUTIONAL else f", {SEEN.get(features, features)}"
        lines.append(Group(f"{backbone_title(backbone)}{seen}"))
        for framework in dict.fromkeys(r.framework for r in rows if (r.backbone, r.features) == (backbone, features)):
            cells = [_cell(found.get((backbone, features, framework, each))) for each in bits]
            lines.append([framework_title(framework), *cells])
    return Table(f"mAP on {protocol}", ["framework", *(f"{each} bits" for each in bits)], lines, note)


def _cell(row: Row | None) -> Cell:
    if row is None:
        return Cell(NONE)
    paper = "" if row.published is None else f"paper {row.published:.1f}"
    if row.best is None:
        return Cell(NONE, "; ".join(text for text in (paper, row.state) if text))
    beside = paper if row.difference is None else f"{paper}, {_signed(row.difference)}"
    last = "" if row.last == row.best else f"last epoch {row.last}"
    return Cell(str(row.best), "; ".join(text for text in (beside, last, row.state) if text))


def _signed(points: float) -> str:
    return f"{points:+.2f}".replace("-", "\N{MINUS SIGN}")


def _details(rows: Sequence[Row], protocol: str, note: str) -> Table:
    lines: list[Line] = [[*cells_of(row), " ".join(map(str, row.seeds)) or NONE] for row in rows]
    head = [*tables.HEAD, "seeds"]
    title = f"Every number on {protocol}: last epoch, ties, runs, seeds"
    return Table(title, head, lines, note, texts=3, folded=True)


def _figure(rows: Sequence[Row], protocol: str) -> Chart:
    """Precision and recall at the published places."""
    with_runs = [row for row in rows if row.runs]
    several = len({(row.backbone, row.features) for row in with_runs}) > 1
    panels = []
    for bits in sorted({row.bits for row in with_runs}):
        series = []
        for row in (each for each in with_runs if each.bits == bits):
            curves = np.array([[(p.recall, p.precision) for p in run.best.published_curve] for run in row.runs])
            points = [(float(x), float(y)) for x, y in curves.mean(axis=0)]
            series.append(Series(_method(row, plain=not several, recipes=1), points))
        panels.append(Panel(f"{bits} bits", series))
    title = f"Figure 2 on {protocol}"
    return Chart(title, "lines", Axis("recall at k", 0, 1), Axis("precision at k", 0, 1), panels, FIGURE)


def _troubles(collection: Collection) -> Section | None:
    """Runs that failed, and those that cannot be read."""
    blocks: list[Block] = []
    if collection.failures:
        lines: list[Line] = [[failure.cell.name, failure.error] for failure in collection.failures]
        blocks.append(Table("Failed runs", ["run", "error"], lines, texts=2))
        blocks += [Listing(f"Where: {each.cell.name}", each.traceback, folded=True) for each in collection.failures]
    if collection.unreadable:
        blocks.append(Table("Runs that cannot be read", ["run"], [[text] for text in collection.unreadable]))
    return Section("Troubles", blocks) if blocks else None
