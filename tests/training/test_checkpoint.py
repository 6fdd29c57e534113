from __future__ import annotations

import resource
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from thorough import amount

from vtsearch._atomic_io import aside, temporary
from vtsearch.errors import VtsearchError
from vtsearch.models import save_model
from vtsearch.training.checkpoint import CHECKSUM_FILE, STATE_FILE, TrainState, load_state, replace_folder, save_state
from vtsearch.training.loop import train


@pytest.fixture
def _no_file_above_64_kib():
    """Stands for a disk that is full: a longer file is refused with an OSError in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def same(state, other):
    return torch.equal(state["weights"], other["weights"]) and state["step"] == other["step"]


def test_a_state_is_read_as_it_was_saved(tmp_path):
    state = {"weights": torch.arange(5.0), "step": 7}
    save_state(tmp_path / "last", state)
    assert same(load_state(tmp_path / "last"), state)
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_there_is_no_state_before_the_first(tmp_path):
    assert load_state(tmp_path / "last") is None


@pytest.mark.usefixtures("_no_file_above_64_kib")
def test_a_full_disk_leaves_the_previous_state(tmp_path):
    small = {"weights": torch.zeros(10), "step": 1}
    save_state(tmp_path / "last", small)
    with pytest.raises(OSError, match="File too large; the previous one is intact; free space, then --resume"):
        save_state(tmp_path / "last", {"weights": torch.zeros(100_000), "step": 2})
    assert same(load_state(tmp_path / "last"), small)
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


@pytest.mark.usefixtures("_no_file_above_64_kib")
def test_a_full_disk_before_the_first_state_is_an_error_too(tmp_path):
    with pytest.raises(OSError, match="there is no previous one"):
        save_state(tmp_path / "last", {"weights": torch.zeros(100_000)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_file_above_64_kib")
def test_a_full_disk_leaves_the_previous_model(tmp_path, tiny_model):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "mark").touch()
    with pytest.raises(OSError, match="the previous one is intact"):
        replace_folder(tmp_path / "best", lambda fresh: save_model(tiny_model, fresh))
    assert (tmp_path / "best" / "mark").exists()


def test_an_error_that_is_not_the_disks_is_passed_on(tmp_path):
    def write(_fresh):
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        replace_folder(tmp_path / "last", write)


def test_a_kill_between_the_two_renames_leaves_the_old_state(tmp_path):
    save_state(tmp_path / "last", {"weights": torch.zeros(1), "step": 1})
    (tmp_path / "last").rename(aside(tmp_path / "last"))
    temporary(tmp_path / "last").mkdir()
    assert load_state(tmp_path / "last")["step"] == 1
    save_state(tmp_path / "last", {"weights": torch.zeros(1), "step": 2})
    assert load_state(tmp_path / "last")["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def damaged(content, kind, place):
    """The content with one bit flipped, or cut."""
    if kind == "cut":
        return content[:place]
    flipped = bytearray(content)
    flipped[place // 8] ^= 1 << (place % 8)
    return bytes(flipped)


def assert_refused(folder, content):
    (folder / STATE_FILE).write_bytes(content)
    with pytest.raises(VtsearchError, match=r"last/state\.pt: changed since it was written") as refused:
        load_state(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("kind", "share"), [(kind, share) for kind in ("cut", "flip") for share in (0, 0.3, 0.9999)])
def test_a_state_that_was_changed_is_refused(tmp_path, kind, share):
    save_state(tmp_path / "last", {"weights": torch.zeros(100)})
    content = (tmp_path / "last" / STATE_FILE).read_bytes()
    assert_refused(tmp_path / "last", damaged(content, kind, int(share * len(content) * (1 if kind == "cut" else 8))))


@pytest.mark.slow
def test_bits_and_cuts_all_over_a_runs_state_are_refused(tiny_config, tmp_path):
    step = amount(100_000, 1_000)
    train(replace(tiny_config, epochs=1, baselines=False), tmp_path / "run")
    folder = tmp_path / "run" / "last"
    content = (folder / STATE_FILE).read_bytes()
    bits, cuts = range(0, 8 * len(content), step), np.linspace(0, len(content) - 1, 50).astype(int).tolist()
    for kind, places in (("flip", bits), ("cut", cuts)):
        for place in places:
            assert_refused(folder, damaged(content, kind, place))
    sys.stdout.write(f"{len(content):,} bytes: {len(bits):,} flipped bits and {len(cuts)} cuts, all refused\n")


class Anything:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (Anything(), "not a readable checkpoint: "),
        ([1, 2], "expected names and values, got list"),
        (None, "expected names and values, got NoneType"),
    ],
)
def test_a_foreign_state_is_refused_and_not_executed(tmp_path, capsys, state, message):
    save_state(tmp_path / "last", state)
    with pytest.raises(VtsearchError, match=message) as refused:
        load_state(tmp_path / "last")
    assert "\n" not in str(refused.value)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("name", [STATE_FILE, CHECKSUM_FILE])
def test_a_state_without_one_of_its_files_is_refused(tmp_path, name):
    save_state(tmp_path / "last", {"step": 1})
    (tmp_path / "last" / name).unlink()
    with pytest.raises(VtsearchError, match="not a readable checkpoint"):
        load_state(tmp_path / "last")


@pytest.mark.parametrize(
    "values",
    [
        {"epoch": "1"},
        {"epoch": 1.5},
        {"best": float("nan")},
        {"loss_sum": float("inf")},
        {"baselines": 3},
        {"batch": -2},
    ],
)
def test_progress_of_impossible_values_is_refused(values):
    with pytest.raises(TypeError, match=f"{next(iter(values))}: expected"):
        TrainState(**values)
