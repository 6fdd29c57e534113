from __future__ import annotations

import resource

import pytest
import torch

from vtsearch._atomic_io import aside, temporary
from vtsearch.errors import VtsearchError
from vtsearch.models import save_model
from vtsearch.training.checkpoint import STATE_FILE, load_state, replace_folder, save_state


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


def test_a_cut_state_is_named(tmp_path):
    save_state(tmp_path / "last", {"weights": torch.zeros(100)})
    file = tmp_path / "last" / STATE_FILE
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(VtsearchError, match="not a readable checkpoint"):
        load_state(tmp_path / "last")
