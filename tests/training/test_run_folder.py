from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from vtsearch._atomic_io import aside, temporary
from vtsearch._yaml import read_yaml
from vtsearch.data import load_split, open_dataset
from vtsearch.errors import VtsearchError
from vtsearch.training import run_folder as files
from vtsearch.training.config import OptimizerConfig


@pytest.fixture
def run(tmp_path, tiny_config):
    folder = tmp_path / "run"
    files.claim(folder, tiny_config, open_dataset("digits").split)
    return folder


def test_a_claimed_folder_says_what_runs_in_it(run, tiny_config):
    assert files.read_config(run) == files.plain(tiny_config)
    environment = json.loads((run / files.ENVIRONMENT).read_text())
    assert {"python", "packages", "isa", "threads", "device"} <= environment.keys()
    assert environment["packages"]["torch"]


def test_a_new_or_empty_folder_may_be_started_in(tmp_path, tiny_config):
    for resume in (False, True):
        files.check(tmp_path / "new", tiny_config, resume=resume)
        files.check(tmp_path, tiny_config, resume=resume)


def test_a_folder_with_something_in_it_is_not_started_in(run, tiny_config):
    with pytest.raises(FileExistsError, match="is not empty; continue it with --resume, or choose another --output"):
        files.check(run, tiny_config, resume=False)


def test_a_folder_that_is_no_run_is_not_resumed(tmp_path, tiny_config):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(VtsearchError, match=r"is not a run \(it has no config.yaml\)"):
        files.check(tmp_path, tiny_config, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed: the run in .* has 0, this configuration 1; continue"),
        ({"optimizer": OptimizerConfig(lr=1e-3)}, "optimizer.lr: the run in .* has 0.002, this configuration 0.001;"),
        ({"epochs": 1, "seed": 2}, r"epochs: .* has 2, this configuration 1 \(and seed differ too\);"),
    ],
)
def test_another_configuration_is_refused_by_the_name_of_its_key(run, tiny_config, changes, message):
    with pytest.raises(VtsearchError, match=message):
        files.check(run, replace(tiny_config, **changes), resume=True)


def test_what_changes_no_number_may_change(run, tiny_config):
    changed = replace(tiny_config, data="elsewhere", workers=2, checkpoint_minutes=1.0, checkpoint_steps=3)
    files.check(run, changed, resume=True)


def test_a_yaml_file_without_names_is_refused(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(TypeError, match=r"expected names and values in .*list\.yaml, got list"):
        read_yaml(tmp_path / "list.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"bits: [1, 2", r"not YAML that can be read \(.*, line 1"),
        (b"a: !!python/object/apply:os.system [ls]", "not YAML that can be read .could not determine a constructor"),
        (b"a: &a [1, 2]\nb: *a\n", r"aliases are not allowed, line 2"),
        (b"\xff\xfe\x00", "not YAML that can be read"),
        (b"when: 2020-13-45\n", "not YAML that can be read"),
        (b"[" * 20_000, "not YAML that can be read"),
        (b" " * 2**21, "expected at most 1,048,576 bytes, got 2,097,152"),
    ],
)
def test_a_hostile_yaml_file_is_one_line(tmp_path, content, message):
    (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(VtsearchError, match=message) as refused:
        read_yaml(tmp_path / "run.yaml")
    assert "\n" not in str(refused.value)


def test_names_of_a_yaml_file_are_text(tmp_path):
    (tmp_path / "run.yaml").write_text("1: 2\n")
    with pytest.raises(TypeError, match=r"expected names in .*run\.yaml, got 1"):
        read_yaml(tmp_path / "run.yaml")


# ---------------------------------------------------------------------------------------------------------------------
# The claim and the lock


def test_a_claim_that_was_killed_before_its_configuration_leaves_a_free_folder(run, tiny_config):
    (run / files.CONFIG).unlink()
    (run / ".config.yaml.1-0123456789ab.tmp").touch()
    assert not files.is_free(run)  # a split.json of somebody else's
    (run / files.LOCK).touch()
    for resume in (False, True):
        files.check(run, replace(tiny_config, seed=5), resume=resume)
    with files.lock(run):
        files.claim(run, replace(tiny_config, seed=5), open_dataset("digits", seed=5).split)
    assert files.read_config(run)["seed"] == 5
    assert load_split(run / files.SPLIT) == open_dataset("digits", seed=5).split
    assert sorted(path.name for path in run.iterdir()) == [files.CONFIG, files.ENVIRONMENT, files.SPLIT]


def test_a_claim_that_fails_leaves_nothing(tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr(files, "plain", lambda _config: 1 / 0)
    with pytest.raises(ZeroDivisionError), files.lock(tmp_path / "a" / "run"):
        files.claim(tmp_path / "a" / "run", tiny_config, open_dataset("digits").split)
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_in_a_run_folder_is_refused_by_the_name_of_the_first(run):
    with (
        files.lock(run),
        pytest.raises(BlockingIOError, match=rf"output: {run}: expected one writer .*pid {os.getpid()} on"),
    ):
        files.lock(run).__enter__()
    with files.lock(run):
        pass
    assert not (run / files.LOCK).exists()


def test_what_killed_processes_left_in_a_run_folder_is_put_back_or_deleted(run):
    aside(run / files.LAST).mkdir()
    for name in (files.BEST, files.FINAL, files.BEST_SCORES):
        temporary(run / name).mkdir()
    (run / ".best.lock").touch()
    with files.lock(run):
        pass
    assert sorted(path.name for path in run.iterdir()) == [files.CONFIG, files.ENVIRONMENT, files.LAST, files.SPLIT]
