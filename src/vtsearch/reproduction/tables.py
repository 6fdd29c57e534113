"""The numbers of a grid as Markdown, LaTeX and CSV: one line per cell, seeds together."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from vtsearch.evaluation import map_name
from vtsearch.frameworks import FRAMEWORKS
from vtsearch.reports import markdown_table
from vtsearch.reproduction import published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.reproduction.results import Collection, Row, Summary

TITLE = "Vision Transformer Hashing, reproduced"
NONE = "-"
HEAD = ("backbone", "features", "framework", "bits", "best epoch", "paper", "difference", "last epoch", "ties", "runs")
"""The columns of ``cells_of``."""


def k_of(row: Row) -> str:
    """mAP@k of a row's runs."""
    return " and ".join(sorted({map_name(run.result.k) for run in row.runs}))


def framework_title(name: str) -> str:
    """The framework's name as written in papers."""
    return {ours: theirs for theirs, ours in published.FRAMEWORKS.items()}.get(name) or FRAMEWORKS.get(name, name)


def cells_of(row: Row) -> list[str]:
    """The texts of a row, in the columns of ``HEAD``."""
    runs = str(len(row.runs)) + (f" ({row.state})" if row.state else "")
    return [
        published.backbone_title(row.backbone),
        row.features,
        framework_title(row.framework),
        str(row.bits),
        shown(row.best),
        NONE if row.published is None else f"{row.published:.1f}",
        NONE if row.difference is None else f"{row.difference:+.2f}",
        shown(row.last),
        NONE if row.bounds is None else f"{row.bounds[0]:.2f} to {row.bounds[1]:.2f}",
        runs,
    ]


def shown(summary: Summary | None) -> str:
    """A mean with its deviation, or a dash."""
    return NONE if summary is None else str(summary)


def meaning(rows: Sequence[Row], protocol: str) -> str:
    """The note on the settings of a protocol's numbers."""
    ks = sorted({k_of(row) for row in rows if row.runs})
    chosen = sorted({row.chosen_on for row in rows if row.runs})
    normalizers = sorted({run.best.normalizer for row in rows for run in row.runs})
    how = {"query": "on the protocol's queries, as published", "validation": "on held-out training images"}
    return (
        f"{' and '.join(ks) or 'mAP'} in percent, mean ± sample standard deviation over runs (seeds); "
        f"protocol {protocol}, ties expected, normalizer {' and '.join(normalizers) or 'retrieved'}; "
        f"best epoch chosen {' or '.join(how.get(each, each) for each in chosen) or how['query']}; "
        "ties: what the worst and the best order of tied items give the best epoch; "
        "difference: best epoch minus paper, in points"
    )


def by_recipe(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows grouped by recipe."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.recipe, []).append(row)
    return groups


def earlier(collection: Collection, protocol: str) -> list[tuple[str, dict[int, str]]]:
    """Earlier methods of table 2 by code length, if table 2 was requested."""
    if not any(axes.table == 2 for axes in collection.request.axes):
        return []
    methods: dict[str, dict[int, str]] = {}
    for row in published.earlier_methods(protocol):
        methods.setdefault(row.method, {})[row.bits] = f"{row.percent:.1f}"
    return list(methods.items())


# ---------------------------------------------------------------------------------------------------------------------
# Markdown


def markdown(collection: Collection, figures: Sequence[str] = ()) -> str:
    """All rows, one table per protocol and recipe."""
    parts = [f"# {TITLE}", summary_line(collection)]
    for protocol in collection.protocols:
        rows = [row for row in collection.rows if row.protocol == protocol]
        parts.append(f"## {protocol}")
        for recipe, alike in by_recipe(rows).items():
            parts += [f"**{recipe}**", markdown_table(HEAD, [cells_of(row) for row in alike])]
        parts.append(f"*{meaning(rows, protocol)}*")
        if methods := earlier(collection, protocol):
            bits = sorted({each for _, values in methods for each in values})
            lines = [[name, *(values.get(each, NONE) for each in bits)] for name, values in methods]
            parts += ["Earlier methods, as published (table 2):"]
            parts += [markdown_table(["method", *(f"{each} bits" for each in bits)], lines)]
        parts += [f"![{name}]({name})" for name in figures if name.startswith(f"fig2_{protocol}_")]
    if collection.failures:
        parts += ["## Failed runs", "\n".join(f"- `{each.cell.name}`: {each.error}" for each in collection.failures)]
    if collection.unreadable:
        parts += ["## Runs that cannot be read", "\n".join(f"- {each}" for each in collection.unreadable)]
    return "\n\n".join(parts) + "\n"


def summary_line(collection: Collection) -> str:
    """The counts of finished, unfinished and failed runs, in one line."""
    finished = len(collection.finished)
    counts = [f"{finished} run{'' if finished == 1 else 's'} finished"]
    counts += [f"{collection.count(what)} {what}" for what in ("begun", "missing") if collection.count(what)]
    counts += [f"{len(collection.failures)} failed"] if collection.failures else []
    return f"{', '.join(counts)}. Asked for: {collection.request.recipe}."


# ---------------------------------------------------------------------------------------------------------------------
# LaTeX


def latex(collection: Collection) -> str:
    """All rows as LaTeX, one longtable per protocol and recipe; needs the packages booktabs and longtable."""
    parts = [r"% \usepackage{booktabs,longtable}"]
    for protocol in collection.protocols:
        rows = [row for row in collection.rows if row.protocol == protocol]
        for recipe, alike in by_recipe(rows).items():
            head = " & ".join(HEAD)
            caption = _tex(f"{protocol}. {recipe}. {meaning(alike, protocol)}.")
            lines = [" & ".join(_tex(text) for text in cells_of(row)) + r" \\" for row in alike]
            parts += [
                r"\begin{longtable}{lllrrrrrrl}",
                rf"\caption{{{caption}}}\\",
                r"\toprule",
                rf"{head} \\",
                r"\midrule",
                r"\endhead",
                *lines,
                r"\bottomrule",
                r"\end{longtable}",
            ]
    return "\n".join(parts) + "\n"


def _tex(text: str) -> str:
    escaped = "".join(rf"\{sign}" if sign in "#$%&_{}" else sign for sign in text.replace("\\", "/"))
    return escaped.replace("±", r"$\pm$").replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}")


# ---------------------------------------------------------------------------------------------------------------------
# CSV


def table(collection: Collection) -> str:
    """All rows as CSV with named columns; a missing value is empty."""
    text = io.StringIO()
    lines = [values_of(row) for row in collection.rows]
    writer = csv.DictWriter(text, list(lines[0]) if lines else ["protocol"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def values_of(row: Row) -> dict[str, Any]:
    """Column name -> value of a row; mAP in percent, None for a missing value."""
    low, high = row.bounds or (None, None)
    return {
        "protocol": row.protocol,
        "backbone": row.backbone,
        "features": row.features,
        "framework": row.framework,
        "bits": row.bits,
        "recipe": row.recipe,
        "metric": k_of(row) or None,
        "ties": "expected",
        "normalizer": " and ".join(sorted({run.best.normalizer for run in row.runs})) or None,
        "chosen_on": row.chosen_on or None,
        "runs": len(row.runs),
        "seeds": " ".join(map(str, row.seeds)) or None,
        "best_mean": None if row.best is None else row.best.mean,
        "best_deviation": None if row.best is None else row.best.deviation,
        "best_ties_worst": low,
        "best_ties_best": high,
        "last_mean": None if row.last is None else row.last.mean,
        "last_deviation": None if row.last is None else row.last.deviation,
        "published": row.published,
        "difference": row.difference,
        "precision_within_2": _mean([100 * run.best.precision_within_2 for run in row.runs]),
        "begun": len(row.begun),
        "missing": len(row.missing),
        "failed": len(row.failed),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
