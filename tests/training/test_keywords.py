"""Runs from Python, by keyword arguments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch.utils.data import Dataset

import vtsearch
from vtsearch import frameworks
from vtsearch.cli import main
from vtsearch.data.given import given_images
from vtsearch.data.open import open_dataset
from vtsearch.errors import VtsearchError
from vtsearch.frameworks import Framework, framework_class
from vtsearch.frameworks.dsh import DSH
from vtsearch.models import ModelConfig, save_model
from vtsearch.training import loop
from vtsearch.training import run_folder as files
from vtsearch.training.image_identity import image_identity
from vtsearch.training.keywords import train
from vtsearch.training.presets import preset
from vtsearch.training.result import RunResult

DIGITS = open_dataset("digits").source
IMAGES = np.ascontiguousarray(DIGITS.pixels(np.arange(200)).transpose(0, 2, 3, 1))
LABELS = DIGITS.labels[:200]
NETWORK = {"model": "test_vit", "pretrained": False, "image_size": 32, "bits": 8, "head": "tokens", "hidden": 16}
TINY = NETWORK | {"epochs": 2, "batch_size": 40, "precision": "fp32", "evaluate_every": 0, "baselines": False}


class Digits(Dataset):
    """A data set of torch."""

    def __init__(self, images=IMAGES):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, position):
        return self.images[position], int(LABELS[position])


class Mean(Framework):
    def loss(self, features, labels, positions):
        return features.square().mean()


@pytest.fixture
def asked(monkeypatch):
    """Calls ``train`` and returns the configuration and the images of the run, which does not take place."""
    found = []
    monkeypatch.setattr(frameworks, "_registered", {})

    def pretend(config, folder, *, images, resume, progress):
        found.append((config, images))

    monkeypatch.setattr(loop, "train", pretend)

    def ask(*arguments, **keywords):
        train(*arguments, output=keywords.pop("output", "nowhere"), **keywords)
        return found[-1]

    return ask


def test_it_is_a_name_of_the_package():
    assert vtsearch.train is train


def test_values_take_the_place_of_the_presets(asked):
    optimizer = {"lr": 0.25}
    config, images = asked("digits", epochs=3, bits=24, optimizer=optimizer, options={"quantization": 0.5}, root="/d")
    usual = preset("modern", "csq", "digits")
    assert images is None
    assert config == replace(
        usual,
        epochs=3,
        data="/d",
        model=replace(usual.model, bits=24),
        optimizer=replace(usual.optimizer, lr=0.25),
        options=replace(usual.options, quantization=0.5),
    )
    assert asked("digits", preset="paper")[0] == preset("paper", "csq", "digits")


def test_a_configuration_is_taken_as_it_is_but_for_values(asked, tiny_config):
    usual = framework_class(tiny_config.framework).Options()
    assert asked(config=tiny_config)[0] == replace(tiny_config, options=usual)
    changed = asked("cifar10@all", config=tiny_config, framework="dsh", epochs=7)[0]
    options = framework_class("dsh").Options()
    assert changed == replace(tiny_config, protocol="cifar10@all", framework="dsh", options=options, epochs=7)


def test_no_options_are_the_defaults_of_the_framework(asked):
    assert asked("digits", framework="csq", options=None)[0].options == framework_class("csq").Options()


def test_a_folder_is_named_by_its_absolute_path(asked, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    assert asked("photos")[0].protocol == str(tmp_path / "photos")
    assert asked(tmp_path / "photos")[0].protocol == str(tmp_path / "photos")


def test_a_model_is_a_backbone_a_configuration_or_a_trained_one(asked, tiny_model, tmp_path):
    usual = preset("modern", "csq", "digits").model
    assert asked("digits", model="resnet50")[0].model == replace(usual, backbone="resnet50")
    given = ModelConfig("test_vit", bits=9)
    assert asked("digits", model=given, head="cls")[0].model == replace(given, head="cls")
    save_model(tiny_model, tmp_path / "model")
    config, _ = asked("digits", model=str(tmp_path / "model"), bits=4)
    assert config.start_from == str(tmp_path / "model")
    assert config.model == replace(tiny_model.config, bits=4)
    pinned = replace(config, start_fingerprint="abc")
    assert asked(config=pinned)[0] == pinned
    assert asked(config=pinned, model="test_vit2")[0].start_fingerprint is None


def test_a_begun_run_is_asked_for_the_model_it_began_with(asked, tiny_config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / files.CONFIG).write_text("backbone: test_vit\nbits: 12\nhead: cls\n")
    config, _ = asked("digits", model=tmp_path / "gone", output=tmp_path / "run", resume=True)
    assert config.model == ModelConfig("test_vit", bits=12, head="cls", pretrained=False)


def test_a_framework_is_a_name_or_a_class(asked):
    assert asked("digits", framework="dsh")[0].framework == "dsh"
    assert asked("digits", framework=DSH)[0].framework == "dsh"
    config, _ = asked("digits", framework=Mean)
    assert config.framework == "Mean"
    assert framework_class("Mean") is Mean


def test_given_images_have_a_name(asked):
    config, images = asked((IMAGES, LABELS), name="some digits", epochs=2)
    assert config.protocol == images.protocol.name == "python:some digits"


@pytest.mark.parametrize(
    ("keywords", "kind", "message"),
    [
        ({}, TypeError, "data: expected images, a folder or the name of a protocol, got None"),
        ({"queries": (IMAGES, LABELS)}, TypeError, "data: expected images to train on beside queries and database"),
        ({"data": "digits", "epoch": 3}, TypeError, r"epoch: expected a field .*, got 'epoch' \(did you mean 'epochs'"),
        ({"data": "digits", "protocol": "digits"}, TypeError, "protocol: expected a field of TrainConfig or Model"),
        ({"data": "digits", "epochs": 0}, ValueError, "epochs: expected at least 1, got 0"),
        ({"data": "digits", "optimizer": {"rate": 1}}, TypeError, "optimizer: expected one of name, .*, got 'rate'"),
        ({"data": "digits", "optimizer": 3}, TypeError, "optimizer: expected a mapping of names to values, got 3"),
        ({"data": "digits", "model": 3}, TypeError, "model: expected a backbone's name, a ModelConfig or a model fol"),
        ({"data": "digits", "framework": 3}, TypeError, "framework: expected a name or a subclass of Framework, got i"),
        ({"data": "digits", "framework": dict}, TypeError, "framework 'dict': expected a subclass of vtsearch"),
        ({"data": (IMAGES / 255, LABELS)}, TypeError, "data: images: expected uint8 pixels"),
    ],
)
def test_a_mistake_names_the_argument(keywords, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        train(**keywords, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_images_of_a_data_set_are_known_by_their_sums():
    changed = IMAGES.copy()
    changed[7] = 255 - changed[7]
    given = [given_images(Digits(images)).divided(0) for images in (IMAGES, changed)]
    sums = [image_identity(each)["sums"] for each in given]
    assert (sums[0] != sums[1]).nonzero().tolist() == [[7]]


def test_a_result_without_a_folder_has_no_model(tmp_path):
    result = RunResult({}, None, {}, 0.5, 1, "query", 1, 1.0, 1.0)
    with pytest.raises(VtsearchError, match="model: expected the folder of the run with best/ in it, got None"):
        _ = result.model
    with pytest.raises(VtsearchError, match="model: expected the folder of the run"):
        _ = RunResult({}, None, {}, 0.5, 1, "query", 1, 1.0, 1.0, folder=tmp_path).model


@pytest.mark.slow
@pytest.mark.usefixtures("_without_figures")
@pytest.mark.parametrize("form", ["arrays", "data set"])
def test_a_killed_run_resumes_with_the_same_images_alone(form, tmp_path, monkeypatch, capsys):
    changed = IMAGES.copy()
    changed[7] = 255 - changed[7]
    data, other = ((i, LABELS) if form == "arrays" else Digits(i) for i in (IMAGES, changed))
    queries = (IMAGES[100:], LABELS[100:]) if form == "data set" else None
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    values = {**TINY, "checkpoint_steps": 2, "queries": queries}
    result = train(data, output=whole, **values)
    assert result.folder == whole
    assert files.read_config(whole)["protocol"] == "python:images"

    step = loop.Run._step

    def kill(run, *batch):
        if run.state.step == 5:
            raise KeyboardInterrupt
        return step(run, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "_step", kill)
        with pytest.raises(KeyboardInterrupt):
            train(data, output=killed, **values)
    with pytest.raises(VtsearchError, match=r"expected the image.* that this run was started with"):
        train(other, output=killed, resume=True, **values)
    assert main(["train", "--output", str(killed), "--resume"]) == 2
    assert "protocol: the images of 'python:images' are given in Python: such a run" in capsys.readouterr().err
    resumed = train(data, output=killed, resume=True, **values)
    assert resumed.model.model.fingerprint() == result.model.model.fingerprint()
    np.testing.assert_array_equal(resumed.model.encode(list(IMAGES[:9])), result.model.encode(list(IMAGES[:9])))
    assert main(["report", str(whole), "--output", str(tmp_path / "page.html")]) == 0
    assert main(["train", "--output", str(whole), "--resume"]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("_without_figures")
def test_a_run_on_arrays_is_that_on_the_same_images_of_a_protocol(tmp_path):
    values = {**TINY, "epochs": 1, "batch_size": 250, "augment": "none"}
    pixels = DIGITS.pixels(np.arange(len(DIGITS))).transpose(0, 2, 3, 1)
    split = open_dataset("digits").split
    parts = [(pixels[each], DIGITS.labels[each]) for each in (split.train, split.query, split.database)]
    one = train("digits", output=tmp_path / "one", **values)
    other = train(parts[0], queries=parts[1], database=parts[2], output=tmp_path / "other", **values)
    assert one.final == other.final


def test_other_images_than_those_of_the_protocol_are_refused(tiny_config, tmp_path):
    images = given_images((IMAGES, LABELS))
    with pytest.raises(ValueError, match="protocol: expected 'python:images', the name of the images, got 'digits'"):
        loop.train(tiny_config, tmp_path / "run", images=images)
    assert not (tmp_path / "run").exists()
