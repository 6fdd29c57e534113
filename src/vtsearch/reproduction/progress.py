"""Progress output of a grid: a redrawn table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from vtsearch.reproduction.grid import Cell
    from vtsearch.training.result import RunResult

SHOWN = 8
"""Number of finished cells in the table."""
BAR = 30


class GridProgress:
    """Progress output of the runner; None as stream prints nothing."""

    def __init__(self, stream: TextIO | None, cells: Sequence[Cell], title: str) -> None:
        self._stream = stream
        self._terminal = stream is not None and stream.isatty()
        self._total, self._number = len(cells), 0
        self._done = self._failed = self._known = 0
        self._spent: list[float] = []
        self._began = time.monotonic()
        self._recent: list[str] = []
        self._current: Cell | None = None
        self._latest = ""
        self._drawn = 0
        self._lines = _Lines(self)
        self._print(f"{title}: {self._total} cells", above=True)

    @property
    def stream(self) -> TextIO | None:
        """The stream for progress lines of a run, which are shown in the table."""
        return None if self._stream is None else cast("TextIO", self._lines)

    def begin(self, cell: Cell, *, anew: bool) -> None:
        """Show a cell as the current one; `anew` if it has work left."""
        self._number += 1
        self._current, self._latest = cell, ""
        if anew:
            self._print(f"[{self._number}/{self._total}] {_title(cell)}")
        self._draw()

    def finished(self, cell: Cell, result: RunResult, seconds: float | None) -> None:
        """Show the result of a finished cell; seconds is None if it was finished before."""
        self._done += 1
        self._current = None
        if seconds is None:
            self._known += 1
        else:
            self._spent.append(seconds)
        best, last = 100 * (result.chosen or result.final)["expected"], 100 * result.final["expected"]
        took = "was done" if seconds is None else _clock(seconds)
        self._keep(f"{_columns(cell)}  {best:6.2f}  {last:6.2f}  {took}")
        if seconds is not None:
            chosen = f"best epoch {result.best_epoch} (on {result.chosen_on}): {best:.2f} %"
            self._print(f"[{self._number}/{self._total}] {chosen}, last epoch: {last:.2f} %, {took}; {self._left()}")

    def failed(self, cell: Cell, error: str) -> None:
        """Show the error of a failed cell."""
        self._failed += 1
        self._current = None
        self._keep(f"{_columns(cell)}  failed: {error}")
        self._print(f"[{self._number}/{self._total}] {_title(cell)} failed: {error}")

    def note(self, line: str) -> None:
        """Show a progress line of the current run."""
        self._latest = line
        if self._terminal:
            self._draw()
        else:
            self._print(f"  {line}")

    def end(self, elsewhere: int) -> None:
        """Print the summary; `elsewhere` counts the cells of other processes."""
        self._current = None
        self._draw()
        took = _clock(time.monotonic() - self._began)
        others = f", {elsewhere} left to other processes" if elsewhere else ""
        self._print(
            f"{self._done} of {self._total} cells done ({self._known} before), {self._failed} failed{others}; {took}",
            above=True,
        )

    # -----------------------------------------------------------------------------------------------------------------
    # Drawing

    def lines(self) -> list[str]:
        """The lines of the table: a bar, recent cells, the current cell."""
        ended = self._done + self._failed
        full = BAR * ended // max(self._total, 1)
        bar = "#" * full + "." * (BAR - full)
        head = f"[{bar}] {self._done}/{self._total} done, {self._failed} failed; {self._left()}"
        view = [head, _HEADING, *self._recent[-SHOWN:]]
        if self._current is not None:
            view.append(f"{_columns(self._current)}  {self._latest or 'begins'}")
        return view

    def _keep(self, line: str) -> None:
        self._recent.append(line)
        self._draw()

    def _left(self) -> str:
        left = self._total - self._done - self._failed
        if not left:
            return "none left"
        if not self._spent:
            return f"{left} left"
        return f"{left} left, about {_clock(left * sum(self._spent) / len(self._spent))}"

    def _draw(self) -> None:
        if self._stream is None or not self._terminal:
            return
        width = shutil.get_terminal_size().columns - 1
        view = [line[:width] for line in self.lines()]
        up = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._stream.write(up + "\n".join(view) + "\n")
        self._stream.flush()
        self._drawn = len(view)

    def _print(self, line: str, *, above: bool = False) -> None:
        """Print a line; on a terminal only lines above or below the table."""
        if self._stream is None or (self._terminal and not above):
            return
        self._stream.write(f"{line}\n")
        self._stream.flush()


class _Lines:
    """The part of a text stream used by the progress of a run."""

    def __init__(self, progress: GridProgress) -> None:
        self._progress = progress
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._progress.note(line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: complete lines are shown at once."""

    def isatty(self) -> bool:
        return False


def _title(cell: Cell) -> str:
    return f"{cell.protocol}, {cell.backbone} {cell.features}, {cell.framework}, {cell.bits} bits, seed {cell.seed}"


def _columns(cell: Cell) -> str:
    backbone = f"{cell.backbone[:22]} {cell.features}"
    return f"{cell.protocol:16} {backbone:26} {cell.framework:10} {cell.bits:4} {cell.seed:4}"


_HEADING = f"{'protocol':16} {'backbone':26} {'framework':10} {'bits':>4} {'seed':>4}  {'best':>6}  {'last':>6}  time"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
