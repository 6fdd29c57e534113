"""Faults and crashes at any operation of any change leave an index that answers as the list of its items.

The simulator runs here on an index as it is, in which it finds nothing, and on one with a mistake, which it finds.
"""

from __future__ import annotations

import random

import pytest
from simulation.audit import Violation
from simulation.disk import Disk, File
from simulation.machine import ERRORS
from simulation.planted import MISTAKES
from simulation.simulator import CRASHES, STEPS, Counts, simulate
from thorough import EVERYTHING, amount

REGRESSIONS = [(5, 29), (15, 60), (1098, 160), (1100, 11), (1342, 32)]
"""Seeds and steps that once found a mistake in the index."""
RARE = {"segments_never_joined": 161}
"""Mistakes that many seeds do not find, and one that does."""


def simulated(seeds: range, steps: int) -> Counts:
    counts = Counts()
    for seed in seeds:
        counts.add(simulate(seed, steps))
    return counts


def found(seeds: range, steps: int) -> str:
    """The first violation that some seeds find; empty if there is none."""
    for seed in seeds:
        try:
            simulate(seed, steps)
        except Violation as error:
            return str(error)
    return ""


def test_a_seed_repeats_itself():
    one, other = simulate(3, 60), simulate(3, 60)
    assert one == other
    assert one != simulate(4, 60)


def test_an_index_survives_a_few_simulations():
    counts = simulated(range(5), 80)
    assert counts.steps == 400
    assert counts.crashes > 10


@pytest.mark.parametrize(("seed", "steps"), REGRESSIONS)
def test_seeds_that_found_a_mistake_find_no_more(seed, steps):
    simulate(seed, steps)


QUICK = [mistake for mistake in MISTAKES if mistake.__name__ in ("codes_not_synced", "file_names_come_again")]


@pytest.mark.parametrize("mistake", QUICK)
def test_the_simulator_finds_a_mistake(mistake, monkeypatch):
    mistake(monkeypatch)
    assert found(range(10), STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_simulator_finds_every_mistake(mistake, monkeypatch):
    mistake(monkeypatch)
    first = RARE.get(mistake.__name__, 0)
    message = found(range(amount(first, 0), 200), STEPS)
    print(f"\n{mistake.__name__}: {message}")  # noqa: T201
    assert message


@pytest.mark.slow
def test_an_index_survives_many_simulations():
    seeds = amount(25, 500)
    counts = simulated(range(1000, 1000 + seeds), STEPS)
    print(f"\n{seeds} seeds, {counts.steps} steps, {counts.crashes} crashes, {counts.faults.total()} faults")  # noqa: T201
    assert counts.crashes > 4 * seeds
    if EVERYTHING:
        crashed = {kind for fault, kind in counts.faults if fault in CRASHES}
        assert crashed >= ERRORS.keys() - {"rename"}  # only a file system without links renames


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    return Disk(tmp_path / "disk")


def written(disk: Disk, name: str, content: bytes, *, synced: bool) -> None:
    """A file, and a name that is not synced."""
    file, path = File(), disk.base / name
    path.write_bytes(content)
    file.write(0, content)
    disk.put(path, file)
    if synced:
        file.sync()


def left(disk: Disk, seed: int) -> dict[str, bytes]:
    """The files after a power cut; the disk is empty then."""
    disk.power_cut(random.Random(seed))
    found = {path.name: path.read_bytes() for path in disk.base.iterdir()}
    for path in disk.base.iterdir():
        path.unlink()
    disk.adopt()
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_power_cut_leaves_what_is_synced(disk, seed):
    written(disk, "file", b"content", synced=True)
    disk.folder(disk.base).sync()
    assert left(disk, seed) == {"file": b"content"}


def test_a_power_cut_may_take_names_and_bytes_that_are_not_synced(disk):
    outcomes = set()
    for seed in range(400):
        written(disk, "file", b"content", synced=False)
        outcomes.add(left(disk, seed).get("file"))
    assert outcomes >= {None, b"content", b"", bytes(7)}


def test_a_name_without_its_sync_leads_to_all_bytes_or_is_not_there(disk):
    outcomes = set()
    for seed in range(20):
        written(disk, "file", b"content", synced=True)
        outcomes.add(left(disk, seed).get("file"))
    assert outcomes == {None, b"content"}


def test_a_rename_survives_in_one_step(disk):
    outcomes = set()
    for seed in range(20):
        written(disk, "old", b"content", synced=True)
        disk.folder(disk.base).sync()
        (disk.base / "old").rename(disk.base / "new")
        disk.rename(disk.base / "old", disk.base / "new")
        outcomes.add(tuple(left(disk, seed).items()))
    assert outcomes == {(("old", b"content"),), (("new", b"content"),)}


def test_bytes_whose_sync_failed_are_not_kept_by_the_next_one():
    file = File()
    file.write(0, b"content")
    file.fail()
    file.sync()
    assert {file.after_power_cut(random.Random(seed), 0.0) for seed in range(100)} > {b""}
    file.write(0, b"content")
    file.sync()
    assert {file.after_power_cut(random.Random(seed), 0.0) for seed in range(100)} == {b"content"}
