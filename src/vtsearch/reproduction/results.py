"""Results of a grid, grouped over seeds, with the published numbers."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vtsearch.evaluation import Evaluation
from vtsearch.reports.markdown import JSON_FILE
from vtsearch.reports.saved_run import SavedRun, read_run
from vtsearch.reproduction.grid import Cell
from vtsearch.reproduction.published import published_map
from vtsearch.reproduction.recipe import cell_of, recipe_of
from vtsearch.training import run_folder as files
from vtsearch.training.result import RunResult, read_best, read_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from vtsearch.reproduction.grid_folder import Failure, GridFolder, Request


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation over runs, in percent."""

    mean: float
    deviation: float | None
    """None for a single run."""
    runs: int

    def __str__(self) -> str:
        """The mean, and the deviation if there is one.

        Example:
            >>> str(Summary(91.234, 0.456, 3)), str(Summary(91.234, None, 1))
            ('91.23 ± 0.46', '91.23')
        """
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{spread}"


@dataclass(frozen=True)
class Finished:
    """The results of a finished run."""

    cell: Cell
    folder: Path
    result: RunResult
    last: Evaluation
    """Evaluation of the last epoch, on the protocol's queries."""
    best: Evaluation
    """Evaluation of the best epoch, on the same queries."""
    environment: dict[str, Any]
    saved: SavedRun | None = None
    """All that its report shows; None for numbers alone."""


@dataclass(frozen=True)
class Row:
    """A row of the reports: all seeds of a cell under one recipe."""

    protocol: str
    backbone: str
    features: str
    framework: str
    bits: int
    recipe: str
    """The preset, its changes, and differences of the images from the protocol."""
    runs: tuple[Finished, ...] = ()
    begun: tuple[int, ...] = ()
    """Seeds with an unfinished run."""
    missing: tuple[int, ...] = ()
    """Requested seeds without a run."""
    failed: tuple[Failure, ...] = ()

    @property
    def published(self) -> float | None:
        """The published mAP in percent, or None."""
        return published_map(self.protocol, self.backbone, self.features, self.framework, self.bits)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the finished runs."""
        return tuple(run.cell.seed for run in self.runs)

    @cached_property
    def best(self) -> Summary | None:
        """Mean average precision of the best epochs, expected under ties."""
        return _summary(run.best.mean_average_precision.expected for run in self.runs)

    @cached_property
    def last(self) -> Summary | None:
        """Mean average precision of the last epochs, expected under ties."""
        return _summary(run.last.mean_average_precision.expected for run in self.runs)

    @cached_property
    def bounds(self) -> tuple[float, float] | None:
        """Mean tie bounds (worst, best) of the best epochs over runs, in percent."""
        if not self.runs:
            return None
        scores = [run.best.mean_average_precision for run in self.runs]
        return 100 * statistics.fmean(s.worst for s in scores), 100 * statistics.fmean(s.best for s in scores)

    @property
    def difference(self) -> float | None:
        """Ours (best epoch) minus the published number, in points."""
        return None if self.best is None or self.published is None else self.best.mean - self.published

    @property
    def chosen_on(self) -> str:
        """Queries that selected the best epochs: "query" or "validation"."""
        return " and ".join(sorted({run.result.chosen_on for run in self.runs}))

    @property
    def state(self) -> str:
        """Counts of failed, begun and missing runs as text; empty if all are finished."""
        counts = [("failed", len(self.failed)), ("begun", len(self.begun)), ("missing", len(self.missing))]
        return ", ".join(f"{count} {name}" for name, count in counts if count)


@dataclass(frozen=True)
class Collection:
    """The rows and unreadable runs of a grid, as input of its reports."""

    request: Request
    rows: tuple[Row, ...]
    unreadable: tuple[str, ...] = field(default=())
    """Unreadable folders under runs/, with the reason."""

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols, in the order of the grid."""
        return tuple(dict.fromkeys(row.protocol for row in self.rows))

    @property
    def finished(self) -> tuple[Finished, ...]:
        """All finished runs."""
        return tuple(run for row in self.rows for run in row.runs)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All failures."""
        return tuple(failure for row in self.rows for failure in row.failed)

    def count(self, what: str) -> int:
        """Number of runs that are "begun" or "missing"."""
        return sum(len(getattr(row, what)) for row in self.rows)


def collect(grid: GridFolder, request: Request, format_error: Callable[[Exception], str] = str) -> Collection:
    """Read every run of a grid, including copied ones; runs of other recipes have separate rows.

    Args:
        grid: the folder of the runs.
        request: the requested cells and their recipe.
        format_error: turns an error into one line.
    """
    found, unreadable = [], []
    for folder in grid.run_folders():
        try:
            found.append(_read(folder, request.recipe.preset))
        except Exception as error:  # noqa: BLE001 (a damaged run must not hide the others)
            unreadable.append(f"{folder.name}: {format_error(error)}")
    wanted, failures = request.cells(), {failure.cell: failure for failure in grid.failures()}
    gathered = _Rows(str(request.recipe))
    for cell, recipe, run in sorted(found, key=lambda each: each[:2]):
        if run is not None:
            gathered.of(cell, recipe)["runs"].append(run)
    for cell, recipe, run in found:
        if run is None and cell not in failures:
            gathered.of(cell, None if recipe == str(request.recipe) else recipe)["begun"].append(cell.seed)
    known = {cell for cell, _, _ in found}
    for cell in dict.fromkeys([*wanted, *failures]):
        if cell in failures:
            gathered.of(cell)["failed"].append(failures[cell])
        elif cell not in known:
            gathered.of(cell)["missing"].append(cell.seed)
    return Collection(request, gathered.in_order(wanted), tuple(unreadable))


class _Rows:
    """Collects runs into rows."""

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe
        self._parts: dict[tuple[Any, ...], dict[str, list[Any]]] = {}

    def of(self, cell: Cell, recipe: str | None = None) -> dict[str, list[Any]]:
        """The row of a cell; without a recipe, the row of the request."""
        row, asked = _row_key(cell), self._recipe
        if recipe is None:  # finished runs of the recipe may add a remark on their images
            same = [key[-1] for key in self._parts if key[:-1] == row and f"{key[-1]};".startswith(f"{asked};")]
            recipe = min(same, default=asked)
        return self._parts.setdefault((*row, recipe), {"runs": [], "begun": [], "missing": [], "failed": []})

    def in_order(self, wanted: Iterable[Cell]) -> tuple[Row, ...]:
        """The requested rows in the order of the grid, then the others."""
        order = {row: number for number, row in enumerate(dict.fromkeys(map(_row_key, wanted)))}
        keys = sorted(self._parts, key=lambda key: (order.get(key[:-1], len(order)), key))
        return tuple(Row(*key, *map(tuple, self._parts[key].values())) for key in keys)


def _row_key(cell: Cell) -> tuple[Any, ...]:
    return cell.protocol, cell.backbone, cell.features, cell.framework, cell.bits


def _read(folder: Path, preset: str) -> tuple[Cell, str, Finished | None]:
    """Cell, recipe and, if it is finished, the results of a run, all read from its folder."""
    tree = files.read_config(folder)
    cell, recipe, result = cell_of(tree), recipe_of(tree, preset), read_result(folder)
    if result is None:
        return cell, str(recipe), None
    last = Evaluation.from_dict(_json(folder / JSON_FILE)["evaluation"])
    best = read_best(folder)
    environment = _json(folder / files.ENVIRONMENT)
    described = f"{recipe}; {result.remark}" if result.remark else str(recipe)
    return cell, described, Finished(cell, folder, result, last, best, environment, read_run(folder))


def _summary(scores: Iterable[float]) -> Summary | None:
    percent = [100 * score for score in scores]
    if not percent:
        return None
    return Summary(statistics.fmean(percent), statistics.stdev(percent) if len(percent) > 1 else None, len(percent))


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
