"""Killed with SIGKILL in the middle of a run and started again, a grid reaches the numbers it would have anyway."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
import time

import pytest

from vtsearch.cli import main
from vtsearch.errors import VtsearchError
from vtsearch.reproduction import Cell, GridFolder, Recipe, axes_of, collect, run_cells
from vtsearch.reproduction.progress import GridProgress
from vtsearch.training import run_folder as files

pytestmark = pytest.mark.slow

TIMES = ("seconds", "images_per_second")
FIRST = Cell("digits", "test_vit", "all", "csq", 12, 0)
SECOND = Cell("digits", "test_vit", "all", "hashnet", 12, 0)


def results(folder):
    """Every result.json, without times and the checksum, which covers them."""
    found = {}
    for path in sorted(folder.glob(f"runs/*/{files.RESULT}")):
        values = json.loads(path.read_text())
        found[path.parent.name] = {key: value for key, value in values.items() if key not in (*TIMES, "sha256")}
    return found


def wait_for(condition, process):
    began = time.monotonic()
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() - began < 300
        time.sleep(0.01)


@pytest.mark.slow
def test_a_grid_that_is_killed_goes_on_in_the_middle_of_a_run(grid_args, finished_grid, tmp_path, capsys):
    folder = tmp_path / "killed"
    argv = [sys.executable, "-m", "vtsearch", "reproduce", *grid_args, "--output", str(folder)]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_for((folder / "runs" / SECOND.name / files.LAST).is_dir, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert list(results(folder)) == [FIRST.name]
    steps = [json.loads(line) for line in (folder / "runs" / FIRST.name / files.METRICS).read_text().splitlines()]
    assert steps

    assert main(["reproduce", "--output", str(folder)]) == 0
    said = capsys.readouterr().err
    assert "4 of 4 cells done (1 before), 0 failed" in said
    assert ", from epoch " in said  # the second run was not begun anew
    assert results(folder) == results(finished_grid)
    assert len(results(folder)) == 4
    tables = [list(csv.DictReader(io.StringIO((grid / "results.csv").read_text()))) for grid in (folder, finished_grid)]
    assert tables[0] == tables[1]


def test_a_finished_grid_is_not_run_again(finished_grid, capsys):
    before = {path: path.stat().st_mtime_ns for path in (finished_grid / "runs").rglob("*")}
    assert main(["reproduce", "--output", str(finished_grid)]) == 0
    assert "4 of 4 cells done (4 before), 0 failed" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (finished_grid / "runs").rglob("*")} == before


def test_a_run_killed_before_it_had_a_configuration_begins_anew(finished_grid, tmp_path):
    grid = copy_of(finished_grid, tmp_path)
    run = grid.run(FIRST)
    for path in run.iterdir():
        if path.name != files.SPLIT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert main(["reproduce", "--output", str(grid.path)]) == 0
    assert results(grid.path) == results(finished_grid)


def copy_of(grid, folder):
    """A grid in a folder of its own, as it is copied from machine to machine."""
    shutil.copytree(grid, folder / "copy")
    return GridFolder(folder / "copy")


def test_runs_may_be_copied_from_other_machines(finished_grid, grid_args, tmp_path):
    (tmp_path / "fresh" / "runs").mkdir(parents=True)
    for name in (FIRST.name, SECOND.name):
        shutil.copytree(finished_grid / "runs" / name, tmp_path / "fresh" / "runs" / name)
    argv = ["reproduce", *grid_args, "--seeds", "1", "--output", str(tmp_path / "fresh")]
    assert main(argv) == 0
    assert set(results(tmp_path / "fresh")) == {FIRST.name, SECOND.name}
    assert not (tmp_path / "fresh" / "failed").exists()


def test_a_run_that_fails_is_recorded_and_the_others_go_on(finished_grid, grid_args, tmp_path, capsys):
    folder = tmp_path / "grid"
    shutil.copytree(finished_grid / "runs" / FIRST.name, folder / "runs" / FIRST.name)  # was trained for 2 epochs
    argv = ["reproduce", *grid_args, "--seeds", "1", "--epochs", "1", "--output", str(folder)]
    assert main(argv) == 1
    said = capsys.readouterr()
    assert "1 of 2 cells done (0 before), 1 failed" in said.err
    grid = GridFolder(folder)
    (failure,) = grid.failures()
    assert failure.cell == FIRST
    assert failure.error.startswith(f"epochs: the run in {folder}/runs/{FIRST.name} has 2, this configuration 1")
    assert "VtsearchError" in failure.traceback
    rows = {(row.framework, len(row.runs), row.state) for row in collect(grid, grid.request()).rows}
    assert rows == {("csq", 0, "1 failed"), ("csq", 1, ""), ("hashnet", 1, "")}
    for name in ("index.html", "results.md"):
        assert failure.error.split(";")[0] in (folder / name).read_text()

    shutil.rmtree(grid.run(FIRST))
    assert main(["reproduce", "--output", str(folder)]) == 0
    assert grid.failures() == []


def hold(folder, cell, held, let_go):
    with GridFolder(folder).lock(cell) as locked:
        assert locked
        held.set()
        let_go.wait()


@pytest.fixture
def holder(finished_grid, tmp_path):
    """(grid, process that holds the first cell)."""
    grid = copy_of(finished_grid, tmp_path)
    context = multiprocessing.get_context("spawn")
    held, let_go = context.Event(), context.Event()
    process = context.Process(target=hold, args=(grid.path, FIRST, held, let_go))
    process.start()
    assert held.wait(60)
    yield grid, process
    process.kill()
    process.join()


@pytest.mark.slow
def test_two_processes_do_not_run_the_same_cell(holder):
    grid, _ = holder
    (grid.run(FIRST) / files.RESULT).unlink()
    stream = io.StringIO()
    request = grid.request()
    tally = run_cells(grid, request, request.cells(), GridProgress(stream, request.cells(), "grid"))
    assert tally.elsewhere == [FIRST]
    assert (len(tally.done), tally.failed) == (3, [])
    assert "3 of 4 cells done (3 before), 0 failed, 1 left to other processes" in stream.getvalue()
    assert not (grid.run(FIRST) / files.RESULT).exists()


@pytest.mark.slow
def test_the_lock_of_a_killed_process_holds_nobody_up(holder):
    grid, process = holder
    with grid.lock(FIRST) as locked:
        assert not locked
    process.kill()
    process.join()
    assert (grid.path / "locks" / f"{FIRST.name}.lock").exists()
    with grid.lock(FIRST) as locked:
        assert locked


def test_a_grid_keeps_its_recipe_and_grows_by_cells(tmp_path):
    grid = GridFolder(tmp_path / "grid")
    assert grid.request() is None
    axes = axes_of(bits=[16], protocols=["digits"], frameworks=["csq"], backbones=["test_vit"])
    more = axes_of(bits=[32], protocols=["digits"], frameworks=["csq"], backbones=["test_vit"])
    grid.add_request(Recipe("paper", {"epochs": 3}), axes, "here")
    assert grid.add_request(Recipe("paper", {"epochs": 3}), more).cells() == [*axes.cells(), *more.cells()]
    assert len(grid.add_request(Recipe("paper", {"epochs": 3}), more).axes) == 2
    assert grid.request().recipe == Recipe("paper", {"epochs": 3})
    with pytest.raises(VtsearchError, match="has recipe: paper, changed: epochs 3; this request has recipe: paper;"):
        grid.add_request(Recipe("paper"), axes)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear reader")
    axes = axes_of(bits=[16], protocols=["digits"], frameworks=["csq"])
    with pytest.raises(FileExistsError, match="is not empty and no grid"):
        GridFolder(tmp_path).add_request(Recipe(), axes)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "content", ["preset: [", "preset: paper\n", "just words", "requests: 3\npreset: a\nchanged: 1"]
)
def test_a_request_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "grid.yaml").write_text(content)
    with pytest.raises(VtsearchError, match=r"grid\.yaml is not the request of a grid"):
        GridFolder(tmp_path).request()


def test_a_damaged_run_does_not_hide_the_others(finished_grid, tmp_path):
    grid = copy_of(finished_grid, tmp_path)
    (grid.run(FIRST) / "report.json").write_text("{")
    collection = collect(grid, grid.request())
    assert len(collection.finished) == 3
    assert [text.partition(":")[0] for text in collection.unreadable] == [FIRST.name]
