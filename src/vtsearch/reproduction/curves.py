"""Figure 2 of the paper from the runs of a grid: precision and recall at k = 1, 500, 1000, ..., and the exact curve.

Source: Dubey et al., "Vision Transformer Hashing for Image Retrieval", ICME 2022, figure 2.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vtsearch.reproduction.published import backbone_title
from vtsearch.reproduction.tables import framework_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from vtsearch.reproduction.results import Row

COLORS = ("#2f7ed8", "#e07b00", "#2a9d4a", "#c2417c", "#7a5cc4", "#179c9c", "#b58900", "#d1362f")
STYLES = ("-", "--", ":", "-.")
INK, RULES = "#30343b", "#e3e6ea"


def published_figure(rows: Sequence[Row]) -> Figure:
    """Precision and recall of the best epochs, means over runs, one line per row.

    Args:
        rows: of one protocol and code length, each with runs.
    """
    figure = Figure(figsize=(13, 3.7), layout="constrained", dpi=110)
    panels = figure.subplots(1, 4)
    frameworks = list(dict.fromkeys(row.framework for row in rows))
    others = list(dict.fromkeys(_other(row) for row in rows))
    for row in rows:
        color = COLORS[frameworks.index(row.framework) % len(COLORS)]
        style = STYLES[others.index(_other(row)) % len(STYLES)]
        _draw(panels, row, color, style, _label(row, alike=len(others) == 1))
    largest = max(point.n for row in rows for run in row.runs for point in run.best.published_curve)
    _frame(panels[0], "recall at k", "precision at k", "as published: k = 1, 500, 1000, ...")
    _frame(panels[1], "k", "precision", "precision at k")
    _frame(panels[2], "k", "recall", "recall at k")
    _frame(panels[3], "recall within radius", "precision within radius", "exact: every Hamming radius")
    for panel in panels[1:3]:
        panel.set_xlim(-0.02 * largest, 1.02 * largest)
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=min(len(lines[0]), 6), frameon=False, labelcolor=INK)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG, for Markdown and LaTeX."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(panels: Sequence[Axes], row: Row, color: str, style: str, label: str) -> None:
    k, precision, recall = _published(row)
    marker: dict[str, Any] = {"color": color, "ls": style, "marker": "o", "ms": 3, "lw": 1.5}
    panels[0].plot(recall, precision, label=label, **marker)
    panels[1].plot(k, precision, **marker)
    panels[2].plot(k, recall, **marker)
    exact = _exact(row)
    panels[3].plot(exact[:, 1], exact[:, 0], color=color, ls=style, lw=1.5)


def _published(row: Row) -> tuple[NDArray[np.float64], ...]:
    """k, precision at k and recall at k, means over the runs."""
    curves = np.array([[(p.n, p.precision, p.recall) for p in run.best.published_curve] for run in row.runs])
    k, precision, recall = curves.mean(axis=0).T
    return k, precision, recall


def _exact(row: Row) -> NDArray[np.float64]:
    """Precision and recall (radii, 2) within each radius with any item, means over the runs."""
    curves = np.array([[(p.precision, p.recall, p.items) for p in run.best.radius_curve] for run in row.runs])
    mean = curves.mean(axis=0)
    found: NDArray[np.float64] = mean[mean[:, 2] > 0, :2]
    return found


def _frame(panel: Axes, x: str, y: str, title: str) -> None:
    panel.set_title(title, fontsize=9, color=INK)
    panel.set_xlabel(x, color=INK)
    panel.set_ylabel(y, color=INK)
    panel.set_xlim(-0.02, 1.02)
    panel.set_ylim(-0.02, 1.02)
    panel.grid(color=RULES, lw=0.8)
    panel.tick_params(colors=INK, length=3)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(INK)


def _other(row: Row) -> tuple[str, str, str]:
    """Backbone, features and recipe: the line style of a row; its color is that of the framework."""
    return row.backbone, row.features, row.recipe


def _label(row: Row, *, alike: bool) -> str:
    name = framework_title(row.framework)
    if alike:
        return name
    return f"{name}, {backbone_title(row.backbone)} {row.features}"
