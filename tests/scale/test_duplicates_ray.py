"""Near-duplicates on a Ray cluster of several node processes: the same groups, also when workers and nodes die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import psutil
import pytest
from strategies import seeded_near_duplicates

import vtsearch
from vtsearch.cli import main
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.scale.duplicates import RayTasks, SpanPart, deduplicate
from vtsearch.scale.duplicates.job import bytes_of_item

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")]

CODES = seeded_near_duplicates(7, 6000, 64)
MEMORY = 1500 * bytes_of_item(8)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("duplicates") / "index"
    with Index.create(folder, 64) as index:
        for piece in np.array_split(CODES, 3):
            index.add(piece)
    return folder


def parts_of(folder):
    with Index.open(folder) as index:
        return [SpanPart(span) for span in index.between(0, len(index)).spans]


def expected(radius):
    return vtsearch.deduplicate(CODES, radius).representatives


def test_groups_are_those_of_one_process(ray_cluster, index, tmp_path):
    tasks = RayTasks(ray_cluster.address, cpus=0.5)
    for radius in (0, 3):
        found = deduplicate(
            parts_of(index), radius, tasks=tasks.map, work=tmp_path / f"{radius}", memory=MEMORY, threads=1
        )
        assert np.array_equal(found, expected(radius))
    found = deduplicate(CODES, 2, tasks=tasks.map, work=tmp_path / "arrays", memory=MEMORY, threads=1)
    assert np.array_equal(found, expected(2))


def killing(tasks, folder):
    """Tasks of which some kill their process, once each."""

    def dying(task):
        from vtsearch.scale.duplicates.tasks import run_task

        mark = folder / f"{task.name} was killed"
        if task.name.endswith(("1", "plan", "merged")) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        run_task(task)

    return lambda _, items: tasks.map(dying, items)


def test_a_worker_that_dies_in_each_phase_changes_nothing(ray_cluster, index, tmp_path):
    tasks = killing(RayTasks(ray_cluster.address, cpus=0.5), tmp_path)
    found = deduplicate(parts_of(index), 2, tasks=tasks, work=tmp_path / "work", memory=MEMORY, threads=1)
    assert np.array_equal(found, expected(2))
    killed = {path.name.split("-")[0].split(" ")[0] for path in tmp_path.glob("*was killed")}
    assert killed == {"split", "plan", "distinct", "near", "merged"}
    assert not list((tmp_path / "work").glob(".*"))


def test_a_task_that_dies_again_and_again_is_an_error(ray_cluster):
    def dying(_):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(VtsearchError, match="ray: expected every task to end, one died 6 times"):
        list(RayTasks(ray_cluster.address, cpus=0.5).map(dying, [1]))


def test_what_a_task_raises_is_raised(ray_cluster):
    def failing(task):
        raise VtsearchError(f"{task}: no")

    with pytest.raises(VtsearchError, match=r"^7: no$"):
        list(RayTasks(ray_cluster.address, cpus=0.5).map(failing, [7]))


def test_the_command_finds_the_same_groups(ray_cluster, index, tmp_path, capsys):
    words = ["deduplicate", str(index), "--radius", "2"]
    assert main(words) == 0
    alone = capsys.readouterr().out
    before = sorted(index.parent.iterdir())
    assert main([*words, "--ray", ray_cluster.address]) == 0
    assert capsys.readouterr().out == alone
    assert sorted(index.parent.iterdir()) == before
    assert main([*words, "--ray", ray_cluster.address, "--work", str(tmp_path / "work")]) == 0
    assert capsys.readouterr().out == alone


DRIVER = """
import sys
from pathlib import Path
from vtsearch.index import Index
from vtsearch.scale.duplicates import RayTasks, SpanPart, deduplicate
address, folder, work, memory = sys.argv[1:]
with Index.open(folder) as index:
    parts = [SpanPart(span) for span in index.between(0, len(index)).spans]
deduplicate(parts, 2, tasks=RayTasks(address, cpus=0.5).map, work=work, memory=int(memory), threads=1)
"""


def test_a_driver_that_was_killed_goes_on(ray_cluster, index, tmp_path):
    work = tmp_path / "work"
    command = [sys.executable, "-c", DRIVER, ray_cluster.address, str(index), str(work), str(MEMORY)]
    driver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(work.glob("distinct-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    driver.kill()
    driver.wait()
    assert list(work.glob("split-*"))
    assert not (work / "merged").exists()
    subprocess.run(command, check=True, timeout=300)
    assert np.array_equal(np.load(work / "merged" / "representatives.npy"), expected(2))


def test_a_node_that_dies_changes_nothing(ray_cluster, index, tmp_path):
    node = ray_cluster.add_node()
    killed = []

    def watched(function, tasks):
        for done, each in enumerate(RayTasks(ray_cluster.address, cpus=0.5).map(function, tasks)):
            if tasks[0].name.startswith("near") and done == 1 and not killed:
                killed.append(psutil.Process(node.pid))
                ray_cluster.kill_node(node)
            yield each

    found = deduplicate(parts_of(index), 2, tasks=watched, work=tmp_path / "work", memory=MEMORY, threads=1)
    assert len(killed) == 1
    assert np.array_equal(found, expected(2))
