"""The runs of a grid, one after the other; several processes may work on one grid."""

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
    from vtsearch.reproduction.progress import Watch


@dataclass
class Tally:
    """Finished cells, failed cells, and cells of other processes."""

    done: list[Cell] = field(default_factory=list)
    failed: list[Cell] = field(default_factory=list)
    elsewhere: list[Cell] = field(default_factory=list)
    """Another process works on them."""


def run_cells(
    place: GridFolder, request: Request, cells: Sequence[Cell], watch: Watch, say: Callable[[Exception], str] = str
) -> Tally:
    """Do the runs of `cells` that are not done, each from where it is, and record those that fail.

    A cell that another process works on is passed by, and looked at again after the others.

    Args:
        place: where the runs are.
        request: how they are trained.
        cells: which of them, in this order.
        watch: told what happens.
        say: turns an error into one line.

    Raises:
        OSError: the grid's own folder cannot be written.
    """
    tally, waiting = Tally(), list(cells)
    while waiting:
        passed_by = []
        for cell in waiting:
            with place.mine(cell) as mine:
                if not mine:
                    passed_by.append(cell)
                    continue
                done = _run(place, request, cell, watch, say)
                (tally.done if done else tally.failed).append(cell)
        if len(passed_by) == len(waiting):
            break
        waiting = passed_by
    tally.elsewhere = waiting
    watch.end(len(waiting))
    return tally


def _run(place: GridFolder, request: Request, cell: Cell, watch: Watch, say: Callable[[Exception], str]) -> bool:
    """Whether the run of a cell is done now."""
    was_done = place.result(cell) is not None
    place.clear(cell)
    watch.begin(cell, anew=not was_done)
    began = time.monotonic()
    try:
        config = cell_config(cell, request.recipe, request.data)
        result = train(config, place.run(cell), resume=True, progress=None if was_done else watch.stream)
    except Exception as error:  # noqa: BLE001 (whatever it is, the other cells go on)
        line = say(error)
        place.record_failure(cell, error, line)
        watch.failed(cell, line)
        return False
    finally:
        _free()
    place.forget_failure(cell)
    watch.finished(cell, result, None if was_done else time.monotonic() - began)
    return True


def _free() -> None:
    """Give the memory of a run back before the next one."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
