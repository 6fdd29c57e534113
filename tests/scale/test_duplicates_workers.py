"""``vtsearch deduplicate`` by workers that share a folder: the same groups, whoever is killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from strategies import seeded_near_duplicates

import vtsearch
from vtsearch._atomic_io import writer_lock
from vtsearch.cli import main
from vtsearch.index import Index
from vtsearch.scale.duplicates import ClaimedTasks, claims, deduplicate
from vtsearch.scale.duplicates.job import bytes_of_item

CODES = seeded_near_duplicates(7, 3000, 64)
RADIUS = 2
MEMORY = 600 * bytes_of_item(8)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("duplicates") / "index"
    with Index.create(folder, 64) as index:
        for number, piece in enumerate(np.array_split(CODES, 3)):
            index.add(piece, [f"{number}/{item}" for item in range(len(piece))])
    return folder


def groups_of(work):
    return np.load(work / "merged" / "representatives.npy")


def expected():
    return vtsearch.deduplicate(CODES, RADIUS).representatives


def printed(capsys, *words):
    capsys.readouterr()
    assert main(["deduplicate", *map(str, words)]) == 0
    return capsys.readouterr()


def refused(capsys, *words):
    capsys.readouterr()
    assert main(["deduplicate", *map(str, words)]) == 2
    return capsys.readouterr().err


# Claims


def test_every_worker_alone_finishes_the_search(tmp_path):
    for number in range(3):
        tasks = ClaimedTasks(number, 3)
        found = deduplicate(CODES, RADIUS, tasks=tasks.map, work=tmp_path / f"{number}", memory=MEMORY)
        assert np.array_equal(found, expected())
        assert tasks.done > 15


def test_workers_at_the_same_time_run_each_task_once(tmp_path):
    workers = [ClaimedTasks(number, 4) for number in range(4)]

    def run(worker):
        return deduplicate(CODES, RADIUS, tasks=worker.map, work=tmp_path / "work", memory=MEMORY, threads=1)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, workers))
    assert all(np.array_equal(each, expected()) for each in found)
    alone = ClaimedTasks(0, 1)
    deduplicate(CODES, RADIUS, tasks=alone.map, work=tmp_path / "other", memory=MEMORY)
    assert sum(worker.done for worker in workers) == alone.done


class Named:
    """A task that counts how often it runs."""

    def __init__(self, folder, name):
        self.place, self.name, self.runs = folder / name, name, 0

    @property
    def is_done(self):
        return self.place.exists()


def run(task):
    task.runs += 1
    task.place.mkdir()


def test_own_tasks_come_first(tmp_path):
    tasks, order = [Named(tmp_path, f"{number}") for number in range(7)], []

    def noted(task):
        order.append(int(task.name))
        run(task)

    assert len(list(ClaimedTasks(1, 3).map(noted, tasks))) == 7
    assert order[:2] == [1, 4]
    assert sorted(order) == list(range(7))


def test_a_task_that_another_worker_holds_is_awaited(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "TOLD_SECONDS", 0.05)
    tasks, told = [Named(tmp_path, f"{number}") for number in range(3)], []
    with writer_lock(tasks[0].place), ThreadPoolExecutor(1) as pool:
        worker = ClaimedTasks(0, 1, told.append)
        waiting = pool.submit(lambda: list(worker.map(run, tasks)))
        deadline = time.monotonic() + 20
        while not told and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not waiting.done()
        tasks[0].place.mkdir()  # by its holder
        assert len(waiting.result(20)) == 3
    assert told[0] == "waiting for 1 tasks of other workers, such as 0"
    assert [task.runs for task in tasks] == [0, 1, 1]


def test_what_a_killed_worker_left_is_deleted(tmp_path):
    task = Named(tmp_path, "task")
    (tmp_path / ".task.1-0123456789ab.tmp").mkdir()
    list(ClaimedTasks(0, 1).map(run, [task]))
    assert [path.name for path in tmp_path.iterdir()] == ["task"]


def test_the_error_of_a_task_ends_its_worker(tmp_path):
    def failing(task):
        raise OSError(f"{task.name} failed")

    with pytest.raises(OSError, match="task failed"):
        list(ClaimedTasks(0, 1).map(failing, [Named(tmp_path, "task")]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 0), ValueError, "count: expected at least 1, got 0"),
        ((2, 2), ValueError, "number: expected at most 1, got 2"),
        ((0, "2"), TypeError, "count: expected an int"),
        ((0.5, 2), TypeError, "number: expected an int"),
    ],
)
def test_arguments_of_claimed_tasks(arguments, error, message):
    with pytest.raises(error, match=message):
        ClaimedTasks(*arguments)


# The command


def test_workers_share_the_search_and_a_plain_run_shows_the_groups(index, tmp_path, capsys):
    words = index, "--radius", RADIUS, "--work", tmp_path / "work"
    first = printed(capsys, *words, "--worker", "0/2").out
    redundant = len(CODES) - len(np.unique(expected()))
    assert first.startswith("worker 0/2: ran ")
    assert f"tasks; {redundant:,} of 3,000 items could go; the same command without --worker shows the groups" in first
    assert printed(capsys, *words, "--worker", "1/2").out.startswith("worker 1/2: ran 0 tasks; ")
    assert np.array_equal(groups_of(tmp_path / "work"), expected())
    assert printed(capsys, *words).out == printed(capsys, index, "--radius", RADIUS).out
    both = [json.loads(printed(capsys, *each, "--json").out) for each in (words, words[:3])]
    assert both[0] == both[1]


def test_a_plain_run_with_a_work_folder_finds_all(index, tmp_path, capsys):
    out = printed(capsys, index, "--radius", 0, "--work", tmp_path / "work", "--task-memory", 1).out
    assert out == printed(capsys, index, "--radius", 0).out


def test_arguments_that_do_not_go_together(index, tmp_path, capsys):
    work = "--work", tmp_path / "work"
    for words, message in (
        (("--worker", "0/2"), "work: expected a folder that all workers reach, got none for worker 0/2"),
        (("--worker", "0/2", *work, "--ray"), "ray: expected no --ray for worker 0/2, got one"),
        (("--worker", "2/2", *work), "worker: expected I/N with I from 0 to N - 1"),
        (("--task-memory", 0, *work), "task_memory: expected at least 1 MiB, got 0"),
        (("--against", index, *work), "against: expected no --against with --ray or --work"),
        (("--max-diameter", 3, *work), "max_diameter: expected no --max-diameter with --ray or --work"),
        (("--where", "label = 1", *work), "where: expected no --where with --ray or --work"),
        (("--json", "--worker", "0/2", *work), "worker: expected no --new, --decide or --json for worker 0/2"),
    ):
        assert message in refused(capsys, index, "--radius", RADIUS, *words)
    printed(capsys, index, "--radius", RADIUS, *work)
    assert "work: expected the work of this call, got that of radius 2, not 3" in refused(
        capsys, index, "--radius", 3, *work
    )


# Array jobs


def started(index, work, worker):
    command = [sys.executable, "-m", "vtsearch", "deduplicate", str(index), "--radius", "4", "--work", str(work)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--worker", worker, "--task-memory", "2", "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An index of 300,000 codes, and their groups."""
    codes = vtsearch.pack(np.random.default_rng(0).standard_normal((200_000, 64)))
    near = codes[:100_000].copy()
    near[np.arange(100_000), np.arange(100_000) % 8] ^= 5
    folder = tmp_path_factory.mktemp("large") / "index"
    with Index.create(folder, 64) as index:
        index.add(codes)
        index.add(near)
    return folder, vtsearch.deduplicate(np.concatenate([codes, near]), 4).representatives


@pytest.mark.slow
@pytest.mark.parametrize("after", ["split", "distinct", "near"])
def test_an_array_job_that_was_killed_runs_again(large, tmp_path, after):
    (index, groups), work = large, tmp_path / "work"
    victim = started(index, work, "1/3")
    deadline = time.monotonic() + 60
    while not list(work.glob(f"{after}-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert not (work / "merged").exists()
    others = [started(index, work, worker) for worker in ("0/3", "2/3", "1/3")]
    for process in others:
        out, errors = process.communicate(timeout=300)
        assert (process.returncode, errors) == (0, "")
        assert "could go" in out
    assert np.array_equal(groups_of(work), groups)
    assert not list(work.glob(".*"))


@pytest.mark.slow
def test_a_worker_takes_over_what_a_killed_one_ran(large, tmp_path):
    (index, groups), work = large, tmp_path / "work"
    both = [started(index, work, worker) for worker in ("0/2", "1/2")]
    deadline = time.monotonic() + 60
    while len(list(work.glob("near-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    both[1].send_signal(signal.SIGKILL)
    both[1].communicate()
    _, errors = both[0].communicate(timeout=300)
    assert (both[0].returncode, errors) == (0, "")
    assert np.array_equal(groups_of(work), groups)
