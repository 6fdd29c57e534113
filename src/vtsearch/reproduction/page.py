"""The HTML page of a grid: one file without scripts or other resources."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from vtsearch.reproduction import tables
from vtsearch.reproduction.published import CONVOLUTIONAL, backbone_title
from vtsearch.reproduction.recipe import Recipe
from vtsearch.reproduction.tables import NONE, by_recipe, cells_of, framework_title, meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vtsearch.reproduction.results import Collection, Row

LEAD = (
    "Our mean average precision (mAP) beside that of Dubey et al., ICME 2022. "
    "Bars: ours, from 0 to 100 percent; ticks: the paper's."
)
SEEN = {"all": "all tokens", "cls": "class token"}


@dataclass(frozen=True)
class Drawing:
    """A figure."""

    protocol: str
    bits: int
    file: str
    """The file name of the PNG."""
    svg: str


def page(collection: Collection, drawings: Sequence[Drawing] = ()) -> str:
    """The HTML page of a collection."""
    style = (files("vtsearch.reproduction") / "page.css").read_text(encoding="utf-8")
    sections = [_section(collection, protocol, drawings) for protocol in collection.protocols]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(tables.TITLE)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            *_head(collection),
            *sections,
            *_troubles(collection),
            *_foot(collection),
            "</body>",
            "</html>",
            "",
        ]
    )


def _head(collection: Collection) -> list[str]:
    asked = sorted({axes.table for axes in collection.request.axes if axes.table is not None})
    which = f"Table {' and '.join(map(str, asked))}. " if asked else ""
    compared = [row.difference for row in collection.rows if row.difference is not None]
    hours = sum(run.result.seconds for run in collection.finished) / 3600
    tiles = [(str(len(collection.rows)), "cells"), (str(len(collection.finished)), "runs finished")]
    tiles += [(str(collection.count(what)), f"runs {what}") for what in ("begun", "missing") if collection.count(what)]
    tiles += [(str(len(collection.failures)), "runs failed")] if collection.failures else []
    if compared:
        mean = _signed(sum(compared) / len(compared))
        tiles.append((mean, f"points to the paper, mean of {len(compared)} cells"))
    tiles.append((f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min", "of training"))
    return [
        "<header>",
        f"<h1>{escape(tables.TITLE)}</h1>",
        f'<p class="lead">{which}{LEAD}</p>',
        _recipe(str(collection.request.recipe)),
        '<ul class="tiles">',
        *(f"<li><b>{value}</b><span>{escape(label)}</span></li>" for value, label in tiles),
        "</ul>",
        "</header>",
    ]


def _recipe(text: str) -> str:
    """A notice of changed settings."""
    changed = text != str(Recipe("paper"))
    warning = " This is not the published recipe." if changed else ""
    return f'<p class="recipe{" changed" if changed else ""}">{escape(text)}.{warning}</p>'


def _section(collection: Collection, protocol: str, drawings: Sequence[Drawing]) -> str:
    rows = [row for row in collection.rows if row.protocol == protocol]
    parts = [f'<section id="{escape(protocol)}">', f"<h2>{escape(protocol)}</h2>"]
    for recipe, alike in by_recipe(rows).items():
        asked = recipe == str(collection.request.recipe)  # shown at the top of the page already
        parts += [*([] if asked else [_recipe(recipe)]), _pivot(alike), _details(alike)]
        parts.append(f'<p class="note">{escape(meaning(alike, protocol))}; {escape(recipe)}.</p>')
    parts += _earlier(collection, protocol)
    for drawing in drawings:
        if drawing.protocol == protocol:
            caption = f"Figure 2 at {drawing.bits} bits: best epochs, means over runs, ties expected."
            parts += ["<figure>", drawing.svg, f"<figcaption>{escape(caption)}</figcaption>", "</figure>"]
    return "\n".join([*parts, "</section>"])


def _pivot(rows: Sequence[Row]) -> str:
    """A table with code lengths side by side, as in the paper."""
    bits = sorted({row.bits for row in rows})
    found = {(row.backbone, row.features, row.framework, row.bits): row for row in rows}
    lines = []
    for backbone, features in dict.fromkeys((row.backbone, row.features) for row in rows):
        seen = "" if backbone in CONVOLUTIONAL else f", {SEEN.get(features, features)}"
        group = escape(f"{backbone_title(backbone)}{seen}")
        lines.append(f'<tr><th class="group" colspan="{len(bits) + 1}" scope="rowgroup">{group}</th></tr>')
        for framework in dict.fromkeys(r.framework for r in rows if (r.backbone, r.features) == (backbone, features)):
            cells = [_cell(found.get((backbone, features, framework, each))) for each in bits]
            lines.append(f'<tr><th scope="row">{escape(framework_title(framework))}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col">{each} bits</th>' for each in bits)
    return (
        f'<div class="scroll"><table class="grid"><thead><tr><th scope="col">framework</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(row: Row | None) -> str:
    if row is None:
        return f'<td class="none">{NONE}</td>'
    paper = "" if row.published is None else f"paper {row.published:.1f}"
    tick = "" if row.published is None else f'<b style="left:{row.published:.1f}%"></b>'
    state = f'<span class="beside {"failed" if row.failed else "none"}">{escape(row.state)}</span>' if row.state else ""
    if row.best is None:
        return f'<td>{state}<span class="beside">{paper}</span></td>'
    spread = "" if row.best.deviation is None else f' <span class="spread">± {row.best.deviation:.2f}</span>'
    bar = f'<span class="bar"><i style="width:{row.best.mean:.1f}%"></i>{tick}</span>'
    last = "last epoch the same" if row.last == row.best else f"last epoch {row.last}"
    beside = " ".join(text for text in (paper, _difference(row.difference)) if text)
    return (
        f'<td><span class="value">{row.best.mean:.2f}</span>{spread}{bar}'
        f'<span class="beside">{beside}</span><span class="beside">{escape(last)}</span>{state}</td>'
    )


def _difference(points: float | None) -> str:
    if points is None:
        return ""
    sign = "up" if points >= 0 else "down"
    return f'<span class="{sign}">{_signed(points)}</span>'


def _signed(points: float) -> str:
    return f"{points:+.2f}".replace("-", "&minus;")


def _details(rows: Sequence[Row]) -> str:
    head, numbers = [*tables.HEAD, "seeds"], set(tables.HEAD[3:9])
    align = ['class="number"' if name in numbers else "" for name in head]
    lines = []
    for row in rows:
        texts = [*cells_of(row), " ".join(map(str, row.seeds)) or NONE]
        lines.append("".join(f"<td {how}>{escape(text)}</td>" for how, text in zip(align, texts, strict=True)))
    top = "".join(f'<th scope="col" {how}>{name}</th>' for how, name in zip(align, head, strict=True))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        "<details><summary>Every number: last epoch, ties, runs, seeds</summary>"
        f'<div class="scroll"><table class="long"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
        "</details>"
    )


def _earlier(collection: Collection, protocol: str) -> list[str]:
    methods = tables.earlier(collection, protocol)
    if not methods:
        return []
    bits = sorted({each for _, values in methods for each in values})
    head = "".join(f'<th scope="col" class="number">{each} bits</th>' for each in bits)
    lines = [
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td class="number">{escape(values.get(each, NONE))}</td>' for each in bits)
        + "</tr>"
        for name, values in methods
    ]
    table = (
        f'<div class="scroll"><table class="long"><thead><tr><th scope="col">method</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
    return ["<p>Earlier methods, as published (table 2):</p>", table]


def _troubles(collection: Collection) -> list[str]:
    parts = []
    if collection.failures:
        items = "".join(
            f"<dt><code>{escape(failure.cell.name)}</code></dt><dd>{escape(failure.error)}"
            f"<details><summary>where</summary><pre>{escape(failure.traceback)}</pre></details></dd>"
            for failure in collection.failures
        )
        parts += ['<section id="failed">', "<h2>Failed runs</h2>", f"<dl>{items}</dl>", "</section>"]
    if collection.unreadable:
        items = "".join(f"<li>{escape(text)}</li>" for text in collection.unreadable)
        parts += ["<section>", "<h2>Runs that cannot be read</h2>", f"<ul>{items}</ul>", "</section>"]
    return parts


def _foot(collection: Collection) -> list[str]:
    environments = [run.environment for run in collection.finished]

    def seen(values: Iterable[object]) -> str:
        return escape(", ".join(sorted({str(value) for value in values})) or NONE)

    packages = ("vtsearch", "torch", "timm", "numpy")
    versions = [f"{name} {seen(each['packages'].get(name) for each in environments)}" for name in packages]
    text = (
        f"<p>Runs by {', '.join(versions)} on {seen(each['device'] for each in environments)}. "
        "The same numbers: <a href='results.csv'>results.csv</a>, <a href='results.md'>results.md</a>, "
        "<a href='results.tex'>results.tex</a>; each run with its configuration, codes and report under "
        "<code>runs/</code>. Go on with <code>vtsearch reproduce --output</code> and this folder.</p>"
    )
    return ["<footer>", text, "</footer>"]
