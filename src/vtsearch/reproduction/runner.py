"""Run the cells of a grid one after the other; several processes may share one grid."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from vtsearch.reproduction.recipe import cell_config
from vtsearch.training.loop import train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtsearch.reproduction.grid import Cell
    from vtsearch.reproduction.grid_folder import GridFolder, Request
    from vtsearch.reproduction.progress import GridProgress


@dataclass
class Tally:
    """Finished cells, failed cells, and cells of other processes."""

    done: list[Cell] = field(default_factory=list)
    failed: list[Cell] = field(default_factory=list)
    elsewhere: list[Cell] = field(default_factory=list)
    """Cells locked by another process."""


def run_cells(
    grid: GridFolder,
    request: Request,
    cells: Sequence[Cell],
    progress: GridProgress,
    format_error: Callable[[Exception], str] = str,
) -> Tally:
    """Start or resume the unfinished runs of `cells`, and record their failures.

    Cells locked by another process are skipped and tried again after the others.

    Args:
        grid: the folder of the runs.
        request: their recipe.
        cells: the cells to run, in this order.
        progress: receives begun, finished and failed cells.
        format_error: turns an error into one line.

    Raises:
        OSError: the grid's own folder cannot be written.
    """
    tally, waiting = Tally(), list(cells)
    while waiting:
        passed_by = []
        for cell in waiting:
            with grid.lock(cell) as locked:
                if not locked:
                    passed_by.append(cell)
                    continue
                done = _run(grid, request, cell, progress, format_error)
                (tally.done if done else tally.failed).append(cell)
        if len(passed_by) == len(waiting):
            break
        waiting = passed_by
    tally.elsewhere = waiting
    progress.end(len(waiting))
    return tally


def _run(
    grid: GridFolder, request: Request, cell: Cell, progress: GridProgress, format_error: Callable[[Exception], str]
) -> bool:
    """Start or resume the run of a cell; False if it failed."""
    was_done = grid.result(cell) is not None
    grid.clear(cell)
    progress.begin(cell, anew=not was_done)
    began = time.monotonic()
    try:
        config = cell_config(cell, request.recipe, request.data)
        result = train(config, grid.run(cell), resume=True, progress=None if was_done else progress.stream)
    except Exception as error:  # noqa: BLE001 (the other cells continue after any error)
        line = format_error(error)
        grid.record_failure(cell, error, line)
        progress.failed(cell, line)
        return False
    finally:
        _free()
    grid.clear_failure(cell)
    progress.finished(cell, result, None if was_done else time.monotonic() - began)
    return True


def _free() -> None:
    """Free the memory of a run before the next one."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
