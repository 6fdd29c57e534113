"""Grids of runs, and their results beside the published ones. Includes the paper's tables; changes nothing in a run."""

from __future__ import annotations

from vtsearch.reproduction.grid import Axes, Cell, axes_of
from vtsearch.reproduction.grid_folder import GridFolder
from vtsearch.reproduction.published import earlier_methods, published_map
from vtsearch.reproduction.recipe import Recipe, cell_config
from vtsearch.reproduction.report import write_reports
from vtsearch.reproduction.results import Row, collect
from vtsearch.reproduction.runner import run_cells

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
