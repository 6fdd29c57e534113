from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vtsearch.data import open_dataset
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
        ({"epochs": 9, "seed": 2}, r"epochs: .* has 2, this configuration 9 \(and seed differ too\);"),
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
        files.read_yaml(tmp_path / "list.yaml")
