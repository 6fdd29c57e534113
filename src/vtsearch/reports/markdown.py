"""A report folder: ``report.json`` for programs, ``report.md`` for people, figures for both.

Each number stands with all that it depends on: protocol, split, k, tie rule, normalizer.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtsearch._atomic_io import write_file
from vtsearch._printable import printable
from vtsearch.errors import installed_version
from vtsearch.evaluation.evaluation import map_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from vtsearch.evaluation.comparison import Comparison
    from vtsearch.evaluation.evaluation import CutOff, Evaluation
    from vtsearch.evaluation.statistics import Interval
    from vtsearch.reports.retrievals import RetrievalRow

FORMAT = 1
JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"
CURVE_FILE = "pr_curve.png"
RETRIEVALS_FILE = "retrievals.png"
UNKNOWN = "not given"


@dataclass(frozen=True)
class ReportContext:
    """The origin of the codes, and the scores to compare with."""

    protocol: str = UNKNOWN
    """Name of the data set with its query, train and database split."""
    split: str = UNKNOWN
    """Fingerprint of the split."""
    model: str = UNKNOWN
    """Fingerprint of the model."""
    preprocessing: str = UNKNOWN
    """Fingerprint of the preprocessing."""
    framework: str = UNKNOWN
    backbone: str = UNKNOWN
    database_codes: str = UNKNOWN
    """How the database came to its codes."""
    symmetric: float | None = None
    """mAP where the model encodes the database too, if the codes that are judged were learned in another way."""
    seed: int | None = None
    command: str = UNKNOWN
    """What to type to get this report again."""
    baselines: Mapping[str, float] = field(default_factory=dict)
    """Name -> mAP under the same protocol, k, ties and normalizer."""
    against: str = UNKNOWN
    """What the other codes of a comparison are."""
    remark: str = ""
    """How the images differ from what is published under the protocol's name; empty if they do not."""
    warning: str = ""
    """Why the scores are not to be trusted, such as queries that find themselves; empty if nothing is known."""


def write_report(
    folder: str | PathLike[str],
    evaluation: Evaluation,
    context: ReportContext | None = None,
    *,
    comparison: Comparison | None = None,
    retrievals: Sequence[RetrievalRow] = (),
) -> Path:
    """Write report.json, report.md, pr_curve.png and, if there are rows for it, retrievals.png.

    Args:
        folder: made if it does not exist; files of an older report are replaced one by one, each atomically.
        evaluation: the numbers.
        context: where they come from.
        comparison: with other codes, which ``context.against`` names.
        retrievals: queries with their answers, drawn in this order.

    Returns:
        The path of report.md.

    Raises:
        OSError: a folder that cannot be written.
    """
    context = context or ReportContext()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures = _write_figures(folder, evaluation, retrievals, context)
    values = {
        "format": FORMAT,
        "context": asdict(context),
        "evaluation": evaluation.to_dict(),
        "comparison": None if comparison is None else asdict(comparison),
        "environment": _environment(),
        "figures": figures,
    }
    write_file(folder / JSON_FILE, (json.dumps(values, indent=1) + "\n").encode())
    write_file(folder / MARKDOWN_FILE, markdown(evaluation, context, figures, comparison).encode())
    return folder / MARKDOWN_FILE


def choices(evaluation: Evaluation, context: ReportContext, ties: str = "expected") -> str:
    """The line under every table: all that the numbers depend on."""
    protocol = printable(f"{context.protocol} (not as published)" if context.remark else context.protocol)
    excluded = f", {evaluation.excluded:,} excluded pairs" if evaluation.excluded else ""
    return (
        f"protocol {protocol}, split {context.split[:12]}, k = {evaluation.k or 'all'}, "
        f"ties {ties}, normalizer {evaluation.normalizer}{excluded}"
    )


def percent(interval: Interval) -> str:
    """``95 % interval``."""
    return f"{100 * interval.confidence:g} % interval"


def markdown(
    evaluation: Evaluation, context: ReportContext, figures: Sequence[str], comparison: Comparison | None = None
) -> str:
    """The report as Markdown."""
    note = f"*{choices(evaluation, context)}*"
    parts = [
        f"# Retrieval report: {printable(context.protocol)}",
        *_warning(context),
        markdown_table(["what", "value"], _about(evaluation, context)),
        f"## {map_name(evaluation.k)}",
        markdown_table(["", map_name(evaluation.k)], _scores(evaluation, context)),
        f"*{choices(evaluation, context, 'as each row says')}*",
        *_interval(evaluation),
        *([] if comparison is None else _comparison(comparison, evaluation, context)),
        "## Precision, recall and hits at N",
        markdown_table(["N", "P@N", "R@N", "hit@N"], _points(evaluation.cut_offs)),
        note,
        _single_numbers(evaluation),
        *_gains(evaluation, note),
        "## Precision-recall curve",
        markdown_table(["N", "precision", "recall", "hits"], _points(evaluation.published_curve)),
        note,
        *[f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in figures],
        *([] if figures else ["Figures need matplotlib: `pip install 'vtsearch[plot]'`."]),
        f"All numbers, also by radius and per query, are in `{JSON_FILE}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _single_numbers(evaluation: Evaluation) -> str:
    return (
        f"P@radius<=2 (hash lookup): {evaluation.precision_within_2:.4f}. MRR: {evaluation.mean_reciprocal_rank:.4f}. "
        f"R-precision: {evaluation.r_precision:.4f}. Chance: {evaluation.chance:.4f}."
    )


def _about(evaluation: Evaluation, context: ReportContext) -> list[list[str]]:
    labels = "multi-label" if evaluation.multi_label else "single-label"
    return [
        ["protocol", context.protocol],
        ["queries", f"{evaluation.queries:,}"],
        ["database", f"{evaluation.database:,} ({labels})"],
        ["bits", str(evaluation.bits)],
        ["framework", context.framework],
        ["backbone", context.backbone],
        *([] if context.database_codes == UNKNOWN else [["database codes", context.database_codes]]),
        ["seed", UNKNOWN if context.seed is None else str(context.seed)],
        ["split", f"`{context.split}`"],
        ["model", f"`{context.model}`"],
        ["preprocessing", f"`{context.preprocessing}`"],
        ["command", f"`{context.command}`"],
    ]


def _warning(context: ReportContext) -> list[str]:
    remark, warning = printable(context.remark), printable(context.warning)
    lines = [f"**This is {remark}.** Do not set it beside published numbers."] if remark else []
    return [*lines, f"**Warning: {warning}.**"] if warning else lines


def _scores(evaluation: Evaluation, context: ReportContext) -> list[list[str]]:
    score = evaluation.mean_average_precision
    rows = [
        ["**expected** over all orders of tied items", f"**{score.expected:.6f}**"],
        ["ties by index", f"{score.index:.6f}"],
        ["best order of ties", f"{score.best:.6f}"],
        ["worst order of ties", f"{score.worst:.6f}"],
    ]
    if evaluation.vote is not None:
        rows.append(["accuracy of the vote of the 20 nearest items", f"{evaluation.vote:.6f}"])
    if context.symmetric is not None:
        rows.append(["symmetric use (expected): the model encodes the database too", f"{context.symmetric:.6f}"])
    return rows + [[f"baseline (expected): {name}", f"{value:.6f}"] for name, value in context.baselines.items()]


def _interval(evaluation: Evaluation) -> list[str]:
    interval = evaluation.bootstrap_interval
    if interval is None:
        return []
    text = (
        "Best and worst bound the effect of the order of ties. For other samples of queries, "
        f"{percent(interval)} of the expected value: **{interval.low:.6f} to {interval.high:.6f}** "
        f"({_bootstrap(interval)})."
    )
    return [text]


def _comparison(comparison: Comparison, evaluation: Evaluation, context: ReportContext) -> list[str]:
    difference, test = comparison.difference, comparison.test
    equal = comparison.queries - comparison.better - comparison.worse
    tried = "all" if test.exact else "random"
    rows = [
        ["these codes", f"{comparison.mean_average_precision:.6f}"],
        ["the other codes", f"{comparison.other_mean_average_precision:.6f}"],
        ["**difference**", f"**{difference.mean:+.6f}**"],
        [f"{percent(difference)} of the difference", f"{difference.low:+.6f} to {difference.high:+.6f}"],
        ["p, two-sided", f"{test.p_value:.6f}"],
        ["queries better, worse, equal", f"{comparison.better:,}, {comparison.worse:,}, {equal:,}"],
    ]
    note = (
        f"{choices(evaluation, context, comparison.ties)}; interval: paired {_bootstrap(difference)}; "
        f"p: paired permutation test, {test.permutations:,} arrangements of signs ({tried}), seed {test.seed}"
    )
    return [f"## Against {printable(context.against)}", markdown_table(["", map_name(comparison.k)], rows), f"*{note}*"]


def _bootstrap(interval: Interval) -> str:
    return f"BCa bootstrap, {interval.resamples:,} resamples of the queries, seed {interval.seed}"


def _points(points: Sequence[CutOff]) -> list[list[str]]:
    return [
        [f"{point.n:,}", *(f"{share:.4f}" for share in (point.precision, point.recall, point.hit))] for point in points
    ]


def _gains(evaluation: Evaluation, note: str) -> list[str]:
    if evaluation.gains is None:
        return []
    at = evaluation.k or "all"
    row = [f"{value:.6f}" for value in asdict(evaluation.gains).values()]
    return ["## Graded relevance", markdown_table([f"NDCG@{at}", f"ACG@{at}", f"WAP@{at}"], [row]), note]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; pipes and control characters in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(printable(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _write_figures(
    folder: Path, evaluation: Evaluation, retrievals: Sequence[RetrievalRow], context: ReportContext
) -> list[str]:
    if find_spec("matplotlib") is None:
        return []
    from vtsearch.reports.figures import curve_figure, retrieval_figure  # noqa: PLC0415 (matplotlib is an extra)

    write_file(folder / CURVE_FILE, curve_figure(evaluation, choices(evaluation, context)))
    if not retrievals:
        return [CURVE_FILE]
    write_file(folder / RETRIEVALS_FILE, retrieval_figure(retrievals, choices(evaluation, context, "index")))
    return [CURVE_FILE, RETRIEVALS_FILE]


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "vtsearch": installed_version("vtsearch"),
        "numpy": installed_version("numpy"),
    }
