"""Gpairs/s of one thread against k, the length of codes and the size of the database."""

from __future__ import annotations

import io
from typing import NamedTuple

from cases import Case
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from results import Results, Row

# Family of contenders -> color; of FAISS's modes the better one is drawn.
COLORS = {"vtsearch": "#2563a8", "FAISS": "#e07b00", "numpy": "#8a8f98", "usearch": "#7b4fa3"}
GREY = "#8a8f98"


class Panel(NamedTuple):
    name: str  # of Case.panels
    title: str
    label: str
    x: str  # a field of Case


PANELS = (
    Panel("k", "64 bits, 54,000 codes", "k", "k"),
    Panel("bits", "54,000 codes, k = 100", "bits", "bits"),
    Panel("items", "64 bits, 64 queries, k = 100", "codes in the database", "items"),
)


def figure(results: Results) -> bytes:
    """PNG bytes."""
    picture = Figure(figsize=(11, 3.9), layout="constrained", dpi=120)
    for axes, panel in zip(picture.subplots(1, len(PANELS), sharey=True), PANELS, strict=True):
        draw(axes, panel, [row for row in results.rows if panel.name in row.case.panels])
    picture.axes[0].set_ylabel("Gpairs/s, one thread")
    picture.legend(*picture.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    note = "{processor}, {instruction set}, {date}; FAISS {faiss-cpu}, the better of use_heap on and off"
    picture.supxlabel(note.format_map(results.machine), fontsize=8, color=GREY)
    data = io.BytesIO()
    FigureCanvasAgg(picture).print_png(data)
    return data.getvalue()


def draw(axes: Axes, panel: Panel, rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: place(row.case, panel))
    for family, color in COLORS.items():
        points = [(place(row.case, panel), row.best(family)) for row in rows if row.best(family)]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=color, label=family, markersize=4)
    axes.set(title=panel.title, xlabel=panel.label, xscale="log", yscale="log")
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    if panel.name == "bits":
        axes.set_xscale("log", base=2)
        axes.set_xticks(lengths := sorted({row.case.bits for row in rows}), map(str, lengths))


def place(case: Case, panel: Panel) -> int:
    value = getattr(case, panel.x)
    return case.items if value is None else value
