"""Two processes of a run: one decides for both, and what fails in one fails in both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import agreeing_processes
import nodes
import pytest

from vtsearch.data.loading.loader import cpu_share
from vtsearch.tensors.distributed import processes_on_node
from vtsearch.training import coordination, devices


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What either of two processes got."""
    folder, port = tmp_path_factory.mktemp("both"), str(nodes.free_port())
    command = [sys.executable, agreeing_processes.__file__]
    started = [
        subprocess.Popen(
            [*command, str(rank), port, str(folder)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    messages = [each.communicate(timeout=nodes.SECONDS)[1] for each in started]
    files = [Path(folder / f"{rank}.json") for rank in range(2)]
    assert all(file.exists() for file in files), messages
    assert sorted(path.name for path in folder.iterdir()) == ["0.json", "1.json"]  # the token is gone
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.slow
def test_the_main_process_works_for_both(both):
    assert [each["main's value"] for each in both] == [10, 10]
    assert both[0]["main's error"] == "FileExistsError: output: not empty"
    assert both[1]["main's error"].startswith("VtsearchError: process 0 on ")
    assert both[1]["main's error"].endswith(": output: not empty")


@pytest.mark.slow
def test_what_fails_in_one_process_fails_in_both(both):
    assert [each["own values"] for each in both] == [10, 11]
    assert [each["values of all"] for each in both] == [[0, 1], [0, 1]]
    assert both[0]["one's error"].startswith("VtsearchError: process 1 on ")
    assert both[1]["one's error"] == "OSError: no data"


@pytest.mark.slow
def test_the_first_process_of_a_node_fetches_for_the_others(both):
    assert [each["in turn"] for each in both] == [False, True]


@pytest.mark.slow
def test_processes_need_one_folder(both):
    assert [each["one folder"] for each in both] == [None, None]
    for each in both:
        assert "is not the folder of the main process on" in each["two folders"]


@pytest.mark.slow
def test_processes_need_one_configuration_and_one_split(both):
    assert [each["two places of data"] for each in both] == [None, None]
    assert [each["same"] for each in both] == [None, None]
    for each in both:
        assert each["two seeds"].startswith("VtsearchError: seed: process 0 on ")
        assert each["two seeds"].endswith("with 1; start all nodes with the same command")
        assert each["other"].startswith("VtsearchError: split: process 1 on ")


@pytest.mark.slow
def test_tensors_and_statistics_become_those_of_the_first_process(both):
    for each in both:
        assert each["tensors"] == [[0.0, 0.0], [[0, 2], [1, 3]], [True]]
        assert each["statistics"] == [0.0, 0.0]


@pytest.mark.slow
def test_a_process_waits_as_long_as_it_is_told(both):
    assert both[0]["late"].startswith("VtsearchError: another process of this run ended or did not answer")


def test_a_process_alone_needs_no_other():
    assert coordination.by_main(lambda: 1) == coordination.together(lambda: 1) == 1
    assert coordination.everywhere(1) == [1]
    coordination.require_shared(Path("/nowhere"))


def test_a_fault_of_a_process_alone_stays_what_it_is():
    with pytest.raises(RuntimeError, match="gloo"), coordination.named_losses():
        raise RuntimeError("gloo")


def test_processes_on_a_node_share_its_cpus(monkeypatch):
    alone = cpu_share()
    for text, count in (("2", 2), ("1000000", 1_000_000), ("0", 1), ("many", 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", text)
        assert processes_on_node() == count
        assert 1 <= cpu_share() <= alone


def test_only_the_second_version_of_fsdp_is_taken(monkeypatch):
    monkeypatch.setattr(devices, "number_of_processes", lambda: 2)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match=r"FSDP_VERSION: expected 2 .* got 1"):
        devices.accelerator_for("fp32")
