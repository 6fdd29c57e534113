"""Runs that begin with a trained model."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace

import pytest

from vtsearch.cli import main
from vtsearch.errors import VtsearchError
from vtsearch.models import build_model, load_model, save_model
from vtsearch.training import run_folder as files
from vtsearch.training.loop import Run, train
from vtsearch.training.start import find_start, model_to_train


@pytest.fixture
def trained(tiny_model, tmp_path):
    """The folder of a model, and the model."""
    save_model(tiny_model, tmp_path / "trained")
    return tmp_path / "trained", tiny_model


@pytest.fixture
def config(tiny_config, trained):
    return replace(tiny_config, start_from=str(trained[0]), baselines=False, batch_size=100, epochs=1)


def test_a_run_is_told_its_model_by_path_and_fingerprint(config, trained, tmp_path, monkeypatch):
    folder, model = trained
    monkeypatch.chdir(tmp_path)
    found = find_start(replace(config, start_from="trained"), tmp_path / "run")
    assert found == {"start_from": str(folder), "start_fingerprint": model.fingerprint()}
    assert find_start(replace(config, start_from=None), tmp_path / "run") == {}


def test_its_configuration_is_that_of_the_model_with_nothing_to_fetch(trained):
    folder, model = trained
    assert model_to_train(str(folder)) == replace(model.config, weights=None, pretrained=False)


def test_a_run_stands_for_its_best_model(trained, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / files.CONFIG).write_text("{}")
    shutil.copytree(trained[0], tmp_path / "run" / files.BEST)
    assert model_to_train(str(tmp_path / "run")) == model_to_train(str(trained[0]))


@pytest.mark.parametrize(("name", "value"), [("backbone", "test_vit2"), ("preprocessing", "published")])
def test_what_the_model_decides_cannot_be_asked_otherwise(config, tmp_path, name, value):
    config = replace(config, model=replace(config.model, **{name: value}))
    with pytest.raises(ValueError, match=rf"{name}: expected '.*', that of start_from .*trained, got '{value}'"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_beside_it_are_refused(config):
    with pytest.raises(ValueError, match=r"weights: expected none with start_from, got 'w\.pth'"):
        replace(config, model=replace(config.model, weights="w.pth"))


def test_a_fingerprint_needs_a_model(tiny_config):
    with pytest.raises(ValueError, match="start_fingerprint: expected none without start_from, got 'abc'"):
        replace(tiny_config, start_fingerprint="abc")


def test_another_model_than_the_fingerprints_is_refused(config, tmp_path):
    with pytest.raises(VtsearchError, match="expected the model with the fingerprint abc, got one with"):
        train(replace(config, start_fingerprint="abc"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_model_is_refused(config, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^start_from: .*nowhere: expected a model folder"):
        train(replace(config, start_from=str(tmp_path / "nowhere")), tmp_path / "run")
    (tmp_path / "trained" / "config.json").write_text("{}")
    with pytest.raises(VtsearchError, match=r"^start_from: .*trained/config\.json: expected format 'vtsearch-model'"):
        train(config, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.usefixtures("_without_figures")
def test_a_run_goes_on_from_its_checkpoint_without_the_model(config, trained, tmp_path, monkeypatch):
    folder, model = trained
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    began, step = [], Run._step
    config, said = replace(config, checkpoint_steps=2), io.StringIO()

    def watch(run, *batch):
        began.append(run.components.model.fingerprint())
        if len(began) == 9:  # the fourth step of the second run
            raise KeyboardInterrupt
        return step(run, *batch)

    monkeypatch.setattr(Run, "_step", watch)
    train(config, whole, progress=said)
    assert began[0] == model.fingerprint()
    assert f"start_from: {folder} ({model.fingerprint()[:12]}): backbone and head\n" in said.getvalue()
    assert files.read_config(whole)["start_fingerprint"] == model.fingerprint()
    with pytest.raises(KeyboardInterrupt):
        train(config, killed)
    shutil.rmtree(folder)
    train(config, killed, resume=True)
    assert load_model(killed / "final").fingerprint() == load_model(whole / "final").fingerprint()
    with pytest.raises(VtsearchError, match=r"start_from: the run in .* has '.*trained', this configuration '.*other'"):
        train(replace(config, start_from=str(tmp_path / "other")), killed, resume=True)


@pytest.mark.slow
@pytest.mark.usefixtures("_without_figures")
def test_the_command_takes_the_models_values_and_other_bits(trained, tmp_path, capsys):
    folder, _ = trained
    words = ["train", "--protocol", "digits", "--start-from", str(folder), "--epochs", "1", "--batch-size", "250"]
    assert main([*words, "--bits", "16", "--print-config"]) == 0
    printed = capsys.readouterr().out
    for line in ("backbone: test_vit", "image_size: 32", "hidden: 32", "bits: 16", "pretrained: false"):
        assert f"\n{line}\n" in printed
    words += ["--baselines", "false", "--output", str(tmp_path / "run")]
    assert main([*words, "--bits", "16"]) == 0
    assert "backbone; the head starts anew: bits is 16, not 12\n" in capsys.readouterr().err
    saved = json.loads((tmp_path / "run" / "final" / "config.json").read_text())["config"]
    assert (saved["bits"], saved["hidden"], saved["weights"]) == (16, 32, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backbone", "test_vit2"], "backbone: expected 'test_vit', that of start_from"),
        (["--preprocessing", "published"], "preprocessing: expected 'backbone', that of start_from"),
        (["--weights", "a.pth"], "weights: expected none with start_from, got 'a.pth'"),
        (["--pretrained"], "pretrained: expected false with start_from, got true"),
    ],
)
def test_flags_against_the_model_are_refused_by_name(trained, tmp_path, capsys, words, message):
    run = ["--protocol", "digits", "--start-from", str(trained[0]), "--output", str(tmp_path / "run")]
    assert main(["train", *run, *words]) == 2
    assert capsys.readouterr().err.startswith(f"vtsearch train: {message}")
    assert not (tmp_path / "run").exists()


def test_the_model_to_train_is_built_like_the_trained_one(trained):
    assert build_model(model_to_train(str(trained[0]))).preprocessing == trained[1].preprocessing


@pytest.mark.parametrize(
    ("names", "is_same"),
    [
        (("me/x", "me/x@0123abcd"), True),
        (("me/x@v2", "me/x@0123abcd"), True),
        (("me/y", "me/x@0123abcd"), False),
        (("trained", "{folder}/trained"), True),
        (("../trained", "{folder}/trained"), False),
    ],
)
def test_a_begun_run_knows_its_model_by_each_of_its_names(tiny_config, tmp_path, monkeypatch, names, is_same):
    given, address = names
    monkeypatch.chdir(tmp_path)
    saved = {"start_from": address.format(folder=tmp_path), "start_fingerprint": "abc"}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / files.CONFIG).write_text(json.dumps(saved))
    assert find_start(replace(tiny_config, start_from=given), tmp_path / "run") == (saved if is_same else {})
