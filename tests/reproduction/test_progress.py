from __future__ import annotations

import io
import re

from vtsearch.reproduction import Cell
from vtsearch.reproduction.progress import GridProgress
from vtsearch.training.result import RunResult

CELLS = [Cell("digits", "test_vit", "all", "csq", bits, 0) for bits in (16, 32, 64)]
SCORE = {"expected": 0.912, "index": 0.9, "best": 0.95, "worst": 0.85}
RESULT = RunResult(
    final={**SCORE, "expected": 0.9},
    k=None,
    baselines={},
    best=0.912,
    best_epoch=3,
    chosen_on="query",
    epochs=5,
    seconds=10.0,
    images_per_second=1.0,
    chosen=SCORE,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def go_through(stream):
    progress = GridProgress(stream, CELLS, "runs/grid: recipe: paper")
    progress.begin(CELLS[0], anew=False)
    progress.finished(CELLS[0], RESULT, None)
    progress.begin(CELLS[1], anew=True)
    progress.stream.write("epoch 1/5  loss 0.5")
    progress.stream.write("  20 images/s\n")
    progress.finished(CELLS[1], RESULT, 60.0)
    progress.begin(CELLS[2], anew=True)
    progress.failed(CELLS[2], "no weights")
    progress.end(0)
    return stream.getvalue()


def test_elsewhere_than_on_a_terminal_there_are_plain_lines():
    said = go_through(io.StringIO())
    assert "\x1b" not in said
    assert said.splitlines()[:-1] == [
        "runs/grid: recipe: paper: 3 cells",
        "[2/3] digits, test_vit all, csq, 32 bits, seed 0",
        "  epoch 1/5  loss 0.5  20 images/s",
        "[2/3] best epoch 3 (on query): 91.20 %, last epoch: 90.00 %, 0:01:00; 1 left, about 0:01:00",
        "[3/3] digits, test_vit all, csq, 64 bits, seed 0",
        "[3/3] digits, test_vit all, csq, 64 bits, seed 0 failed: no weights",
    ]
    assert said.splitlines()[-1].startswith("2 of 3 cells done (1 before), 1 failed; 0:00:0")


def screen(said):
    """What stands on a terminal after all that was written to it."""
    lines = []
    for text, up in re.findall(r"([^\x1b]*)(?:\x1b\[(\d+)F\x1b\[J)?", said):
        lines += text.split("\n")[:-1]
        if up:
            del lines[-int(up) :]
    return lines


def test_on_a_terminal_one_table_is_drawn_anew(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    lines = screen(go_through(Terminal()))
    assert lines[0] == "runs/grid: recipe: paper: 3 cells"
    assert lines[1].startswith("[" + "#" * 30 + "] 2/3 done, 1 failed; none left")
    assert lines[2].split() == ["protocol", "backbone", "framework", "bits", "seed", "best", "last", "time"]
    assert lines[3].split() == [*["digits", "test_vit", "all", "csq", "16", "0", "91.20", "90.00", "was", "done"]]
    assert lines[5].endswith("failed: no weights")
    assert lines[-1].startswith("2 of 3 cells done")
    assert len(lines) == 7
    assert max(map(len, lines)) < 100


def test_the_current_cell_shows_its_latest_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    progress = GridProgress(stream, CELLS, "grid")
    progress.begin(CELLS[0], anew=True)
    progress.stream.write("epoch 2/5  loss 0.25\n")
    assert screen(stream.getvalue())[-1].endswith("epoch 2/5  loss 0.25")


def test_without_a_stream_nothing_is_printed():
    progress = GridProgress(None, CELLS, "grid")
    progress.begin(CELLS[0], anew=True)
    assert progress.stream is None
    progress.finished(CELLS[0], RESULT, 1.0)
    progress.end(0)
