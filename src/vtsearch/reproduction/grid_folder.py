"""The folder of a grid. The state of a cell is read from its run folder and stored nowhere else.

- grid.yaml: the requests: the recipe, and axes, one entry per request
- runs/NAME/: one run each, with the files of `vtsearch train`
- failed/NAME.json: the error of a failed run; deleted when it succeeds
- locks/NAME.lock: locked while a process works on the run; the file itself stays
- index.html, results.md, results.tex, results.csv, fig2_*.png: the reports
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from vtsearch._atomic_io import write_file
from vtsearch.errors import VtsearchError
from vtsearch.reproduction.grid import Axes, Cell
from vtsearch.reproduction.recipe import Recipe
from vtsearch.training import run_folder as run_files
from vtsearch.training.result import read_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from vtsearch.training.result import RunResult

REQUEST = "grid.yaml"
RUNS, FAILED, LOCKS = "runs", "failed", "locks"


@dataclass(frozen=True)
class Request:
    """The content of grid.yaml."""

    recipe: Recipe
    axes: tuple[Axes, ...]
    data: str | None = None

    def cells(self) -> list[Cell]:
        """Every requested run, once."""
        return list(dict.fromkeys(cell for axes in self.axes for cell in axes.cells()))


@dataclass(frozen=True)
class Failure:
    """The error of a failed run."""

    cell: Cell
    error: str
    """One line."""
    traceback: str


class GridFolder:
    """A grid on disk."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)

    # -----------------------------------------------------------------------------------------------------------------
    # Requests

    def request(self) -> Request | None:
        """The content of grid.yaml, or None without one.

        Raises:
            VtsearchError: the file is not a grid request.
        """
        file = self.path / REQUEST
        if not file.is_file():
            return None
        try:
            tree = yaml.safe_load(file.read_text(encoding="utf-8"))
            recipe = Recipe(tree["preset"], tree["changed"])
            return Request(recipe, tuple(Axes.from_dict(axes) for axes in tree["requests"]), tree["data"])
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as reason:
            raise VtsearchError(f"output: {file} is not the request of a grid ({type(reason).__name__})") from reason

    def add_request(self, recipe: Recipe, axes: Axes, data: str | None = None) -> Request:
        """Add axes to the request and save it.

        Raises:
            VtsearchError: the grid has another recipe.
            FileExistsError: the folder is not empty and not a grid.
        """
        if self.path.exists() and not (self.path / REQUEST).exists() and self._has_other_files():
            raise FileExistsError(f"output: {self.path} is not empty and no grid; choose another --output")
        with self._locked("grid", wait=True):
            before = self.request()
            if before is not None and str(before.recipe) != str(recipe):
                raise VtsearchError(
                    f"output: the grid in {self.path} has {before.recipe}; this request has {recipe}; "
                    "choose another --output"
                )
            old = () if before is None else before.axes
            now = Request(recipe, old if axes in old else (*old, axes), data)
            content = {
                "preset": recipe.preset,
                "changed": dict(recipe.changed),
                "data": data,
                "requests": [each.to_dict() for each in now.axes],
            }
            write_file(self.path / REQUEST, yaml.safe_dump(content, sort_keys=False).encode())
        return now

    def _has_other_files(self) -> bool:
        # Copied runs and locks may be there before the request.
        return any(path.name not in {RUNS, FAILED, LOCKS} for path in self.path.iterdir())

    # -----------------------------------------------------------------------------------------------------------------
    # Runs

    def run(self, cell: Cell) -> Path:
        """The run folder of a cell."""
        return self.path / RUNS / cell.name

    def run_folders(self) -> list[Path]:
        """Every run folder under runs/, including runs of no request."""
        return sorted(path.parent for path in (self.path / RUNS).glob(f"*/{run_files.CONFIG}"))

    def result(self, cell: Cell) -> RunResult | None:
        """The result of a cell, or None while its run is not finished."""
        return read_result(self.run(cell))

    def clear(self, cell: Cell) -> None:
        """Remove the run folder of a cell if it has no config.yaml, so if it was killed before any work."""
        run = self.run(cell)
        if run.is_dir() and not (run / run_files.CONFIG).exists():
            shutil.rmtree(run)

    # -----------------------------------------------------------------------------------------------------------------
    # Failures and locks

    def failures(self) -> list[Failure]:
        """The failures of the last attempts."""
        return [_failure(path) for path in sorted((self.path / FAILED).glob("*.json"))]

    def record_failure(self, cell: Cell, error: Exception, line: str) -> None:
        """Save the error of a run."""
        file = self._failed(cell)
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"cell": vars(cell), "error": line, "traceback": "".join(traceback.format_exception(error))}
        write_file(file, (json.dumps(content, indent=1) + "\n").encode())

    def clear_failure(self, cell: Cell) -> None:
        """Delete the saved error of a run, if any."""
        self._failed(cell).unlink(missing_ok=True)

    def _failed(self, cell: Cell) -> Path:
        return self.path / FAILED / f"{cell.name}.json"

    @contextmanager
    def lock(self, cell: Cell) -> Iterator[bool]:
        """Lock a cell for this process; yields False, without a lock, if another process has locked it."""
        with self._locked(cell.name) as held:
            yield held

    @contextmanager
    def _locked(self, name: str, *, wait: bool = False) -> Iterator[bool]:
        """A record lock, released by the system at the end of the process, so never stale.

        Unlike a lock of `flock`, it is not inherited by image loading processes, which may survive a kill.
        """
        file = self.path / LOCKS / f"{name}.lock"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except (BlockingIOError, PermissionError):
                yield False
                return
            lock.truncate(0)
            lock.write(f"{socket.gethostname()} process {os.getpid()}\n")  # for people; the lock itself decides
            lock.flush()
            yield True


def _failure(path: Path) -> Failure:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Failure(Cell(**content["cell"]), content["error"], content["traceback"])
