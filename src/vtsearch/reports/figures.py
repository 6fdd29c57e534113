"""Pictures of an evaluation as PNG bytes. Uses matplotlib's objects, never the global state of pyplot."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vtsearch.evaluation.evaluation import map_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from PIL.Image import Image

    from vtsearch.evaluation.evaluation import Evaluation
    from vtsearch.reports.retrievals import RetrievalRow

RIGHT, WRONG, QUERY = "#2a9d4a", "#d1362f", "#30343b"
BLUE, ORANGE, GREY = "#2563a8", "#e07b00", "#8a8f98"


def curve_figure(evaluation: Evaluation, note: str) -> bytes:
    """Precision against recall by radius and by N on the left, precision and recall at N on the right.

    Args:
        evaluation: the numbers.
        note: what they depend on, one line at the foot.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained", dpi=120)
    curve, cuts = figure.subplots(1, 2)
    _draw_curve(curve, evaluation)
    _draw_cut_offs(cuts, evaluation)
    figure.suptitle(
        f"{evaluation.bits} bits, {evaluation.queries:,} queries in {evaluation.database:,} items:  "
        f"{map_name(evaluation.k)} = {evaluation.mean_average_precision.expected:.4f}",
        fontsize=11,
    )
    figure.supxlabel(note, fontsize=8, color=GREY)
    return _png(figure)


def retrieval_figure(rows: Sequence[RetrievalRow], note: str) -> bytes:
    """One line per query: the query, then its answers framed green (relevant) or red (not), distances beneath.

    Args:
        rows: the queries, drawn in this order.
        note: what the answers depend on, one line at the foot.
    """
    columns = max(len(row.answers) for row in rows)
    size = (1.15 * (columns + 1.35), 1.42 * len(rows) + 0.65)
    figure = Figure(figsize=size, dpi=110)
    grid = figure.add_gridspec(
        len(rows),
        columns + 1,
        width_ratios=[1.15] + [1] * columns,
        left=0.015,
        right=0.985,
        top=1 - 0.42 / size[1],
        bottom=0.48 / size[1],
        wspace=0.12,
        hspace=0.34,
    )
    for line, row in enumerate(rows):
        _draw_image(figure.add_subplot(grid[line, 0]), row.query, QUERY, row.title, bold=True)
        colors = [GREY] * len(row.answers) if row.relevant is None else [RIGHT if r else WRONG for r in row.relevant]
        for column, (image, distance, color) in enumerate(
            zip(row.answers, row.distances, colors, strict=True), start=1
        ):
            _draw_image(figure.add_subplot(grid[line, column]), image, color, str(distance))
    figure.text(0.02, 1 - 0.2 / size[1], "query", fontsize=9, weight="bold", va="center", color=QUERY)
    figure.text(0.985, 1 - 0.2 / size[1], _caption(rows), fontsize=9, ha="right", va="center", color=QUERY)
    figure.text(0.985, 0.14 / size[1], note, fontsize=8, ha="right", va="center", color=GREY)
    return _png(figure)


def _caption(rows: Sequence[RetrievalRow]) -> str:
    text = "answers, nearest first, with their Hamming distance"
    return text if all(row.relevant is None for row in rows) else f"{text}; green: relevant, red: not"


def _draw_curve(axes: Axes, evaluation: Evaluation) -> None:
    found = [point for point in evaluation.radius_curve if point.items > 0]
    axes.plot(
        [p.recall for p in found],
        [p.precision for p in found],
        color=BLUE,
        lw=2,
        label="by Hamming radius (nothing found: 0)",
    )
    points = evaluation.published_curve
    axes.plot(
        [p.recall for p in points],
        [p.precision for p in points],
        "o",
        ms=4,
        color=ORANGE,
        label="by N = 1, 500, 1000, ...",
    )
    axes.axhline(evaluation.chance, color=GREY, ls=":", lw=1.2, label="chance")
    _frame(axes, "recall", "precision")
    axes.set_xlim(-0.02, 1.02)


def _draw_cut_offs(axes: Axes, evaluation: Evaluation) -> None:
    n = [point.n for point in evaluation.cut_offs]
    axes.plot(n, [point.precision for point in evaluation.cut_offs], "o-", ms=4, lw=2, color=BLUE, label="P@N")
    axes.plot(n, [point.recall for point in evaluation.cut_offs], "s-", ms=4, lw=2, color=ORANGE, label="R@N")
    axes.set_xscale("log")
    axes.set_xticks([1, 10, 100, 1000][: 1 + int(np.log10(max(n)))], minor=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _frame(axes, "N (length of the list)", "mean over the queries")


def _frame(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(color="#e3e6ea", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _draw_image(axes: Axes, image: Image, color: str, title: str, *, bold: bool = False) -> None:
    axes.imshow(np.asarray(_squared(image)), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=2.6)
    axes.set_xlabel(title, fontsize=8, color=color, labelpad=2.5, weight="bold" if bold else "normal")


def _squared(image: Image) -> Image:
    # The middle square, at most 160 pixels: all frames alike, and the picture's file stays small.
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.convert("RGB").crop((left, top, left + side, top + side))
    return square if side <= 160 else square.resize((160, 160))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
