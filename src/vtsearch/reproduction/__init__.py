"""Grids of runs, and their numbers beside the published ones. Knows the paper's tables; adds nothing to a run."""

from __future__ import annotations

from vtsearch.reproduction.grid import Axes, Cell, axes_of
from vtsearch.reproduction.paper import earlier_methods, published_map
from vtsearch.reproduction.place import GridFolder
from vtsearch.reproduction.queue import run_cells
from vtsearch.reproduction.recipe import Recipe, cell_config
from vtsearch.reproduction.report import write_reports
from vtsearch.reproduction.scores import Row, collect

__all__ = [
    "Axes",
    "Cell",
    "GridFolder",
    "Recipe",
    "Row",
    "axes_of",
    "cell_config",
    "collect",
    "earlier_methods",
    "published_map",
    "run_cells",
    "write_reports",
]
