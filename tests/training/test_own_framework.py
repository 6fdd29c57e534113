"""Before a run of a framework of the user's own: one small batch; and only with the source that the run has."""

from __future__ import annotations

from dataclasses import replace

import own_framework
import pytest
import torch

from vtsearch.data import open_dataset
from vtsearch.errors import VtsearchError
from vtsearch.frameworks import Framework, framework_class, own
from vtsearch.training import run_folder as files
from vtsearch.training.setup import try_loss

LABELS, CPU = torch.arange(5) % 3, torch.device("cpu")


class Constant(Framework):
    def loss(self, features, labels, positions):
        return torch.ones(())


class Remembering(Framework):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.register_buffer("seen", torch.zeros(self.train_size))

    def loss(self, features, labels, positions):
        self.seen[positions] = 1.0
        return features.mean()


def test_a_loss_without_gradient_is_refused():
    with pytest.raises(ValueError, match=r"Constant\.loss: expected a loss with a gradient, got one without"):
        try_loss(Constant(8, 3, 5), LABELS, CPU)


def test_the_trial_leaves_the_framework_as_it_is():
    framework = Remembering(8, 3, 5)
    try_loss(framework, LABELS, CPU)
    assert not framework.seen.any()


class Comparing(Framework):
    compares_inputs = True

    def loss(self, features, labels, positions, inputs):
        return features.mean() * inputs.mean()


def test_a_framework_that_compares_the_backbones_features_is_tried_with_some():
    try_loss(Comparing(8, 3, 5), LABELS, CPU)


class OfThreeViews(Framework):
    views = 3

    def loss(self, features, labels, positions):
        assert len(features) == len(labels) == 3 * len(positions.unique())
        return features.mean()


def test_a_framework_of_several_views_is_tried_with_them():
    try_loss(OfThreeViews(8, 3, 5), LABELS, CPU)


@pytest.fixture
def run(tmp_path, tiny_config):
    """A folder that a run with the framework of the page has claimed, and its configuration."""
    name = own_framework.write(tmp_path)
    kind = framework_class(name)
    config = replace(tiny_config, framework=name, options=kind.Options())
    files.claim(tmp_path / "run", config, open_dataset("digits").split, own.source_of(kind))
    return tmp_path / "run", config


def test_a_run_resumes_with_its_source_wherever_the_file_is(run, tmp_path):
    folder, config = run
    files.check(folder, config, resume=True)
    (tmp_path / "there").mkdir()
    moved = replace(config, framework=own_framework.write(tmp_path / "there"))
    files.check(folder, moved, resume=True)
    source = (folder / files.FRAMEWORK).read_bytes()
    assert files.config_fingerprint(config, source) == files.config_fingerprint(moved, source)
    assert files.config_fingerprint(config, source) != files.config_fingerprint(config, source + b"\n")


@pytest.mark.parametrize("change", ["file", "copy", "no copy"])
def test_another_source_is_refused_and_both_are_named(run, tmp_path, change):
    folder, config = run
    path = tmp_path / "my_file.py" if change == "file" else folder / files.FRAMEWORK
    path.write_text(path.read_text() + "\n")
    if change == "no copy":
        path.unlink()
    with pytest.raises(VtsearchError) as refused:
        files.check(folder, config, resume=True)
    assert f"framework: {tmp_path / 'my_file.py'}:MyLoss (sha256 " in str(refused.value)
    assert f"begun with, {folder / files.FRAMEWORK} ({'no source' if change == 'no copy' else 'sha256 '}" in str(
        refused.value
    )
