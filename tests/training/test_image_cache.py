"""Where training images are made ready decides about speed, not about numbers."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vtsearch.data import open_dataset, open_image_folder
from vtsearch.data.loading.loader import build_loader
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.models import ModelConfig, build_model, load_model
from vtsearch.tensors.preprocessing import Preprocessing
from vtsearch.training import image_cache
from vtsearch.training.config import OptimizerConfig
from vtsearch.training.image_cache import cache_training_images
from vtsearch.training.loop import train
from vtsearch.training.optimization import build_optimizer
from vtsearch.training.progress import Progress
from vtsearch.training.sampler import EpochSampler
from vtsearch.training.setup import set_up
from vtsearch.training.train_module import TrainModule

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits as files, twenty of each of three classes."""
    root, source = tmp_path_factory.mktemp("images"), open_dataset("digits").source
    for number in range(3):
        (root / str(number)).mkdir()
        for position in np.flatnonzero(source.labels == number)[:40]:
            source.load(int(position)).resize((36, 40 + number)).save(root / str(number) / f"{position:04}.png")
    return root


def place(config, source, device=CPU):
    items = ImageDataset(source, np.arange(len(source)), Preprocessing(32), augment=config.augment)
    cache_training_images(items, config, device, Progress(None))
    return items


@pytest.mark.slow
def test_a_run_gives_the_same_weights_wherever_its_images_are_augmented(tiny_config, folder, tmp_path):
    config = replace(tiny_config, protocol=str(folder), augment="flip+crop", baselines=False, batch_size=16)
    for images in ("auto", "loader"):
        train(replace(config, images=images), tmp_path / images)
    held, read = (load_model(tmp_path / images / "final") for images in ("auto", "loader"))
    assert held.fingerprint() == read.fingerprint()


def test_auto_holds_files_that_fit(tiny_config, folder):
    source = open_image_folder(folder)
    assert place(tiny_config, source).is_held
    assert not place(replace(tiny_config, images="loader"), source).is_held
    assert not place(replace(tiny_config, cache_gib=1e-4), source).is_held


def test_auto_leaves_decoded_images_where_they_are_unless_the_device_is_another(tiny_config):
    source = open_dataset("digits").source
    assert not place(tiny_config, source).is_held
    assert place(replace(tiny_config, images="device"), source).is_held
    assert place(tiny_config, source, torch.device("meta")).device.type == "meta"


def test_auto_leaves_a_device_most_of_its_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8 * 2**30, 16 * 2**30))
    assert image_cache._free_bytes(torch.device("cuda")) == 2 * 2**30
    assert image_cache._free_bytes(CPU) == float("inf")


def test_images_that_must_be_held_and_do_not_fit_are_refused(tiny_config, folder):
    config = replace(tiny_config, images="device", cache_gib=1e-4)
    with pytest.raises(ValueError) as error:
        place(config, open_image_folder(folder))
    assert str(error.value) == (
        "cache_gib: expected at least 0.00034, the size of the decoded training images, got 0.0001; "
        "or choose --images loader"
    )


def test_held_images_need_no_loading_process(tiny_config, folder):
    source = open_image_folder(folder)
    for images, expected in (("device", 0), ("loader", 1)):
        items = place(replace(tiny_config, images=images), source)
        loader = build_loader(items, EpochSampler(len(source), 16, seed=0), device=CPU, workers=1)
        assert loader.num_workers == expected


def test_a_person_sees_that_images_are_decoded(tiny_config, folder):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    seen, source = Terminal(), open_image_folder(folder)
    items = ImageDataset(source, np.arange(len(source)), Preprocessing(32))
    cache_training_images(items, tiny_config, CPU, Progress(seen))
    assert "decoding training images" in seen.getvalue()


# ---------------------------------------------------------------------------------------------------------------------
# A step never waits for the device: on one without memory, whoever asks for a value fails


@pytest.mark.parametrize(
    ("framework", "backbone"),
    [
        *(pytest.param(name, "test_vit", marks=[pytest.mark.slow] * (name != "dpsh")) for name in FRAMEWORKS),
        ("csq", "test_resnet"),
    ],
)
def test_a_step_asks_the_device_for_nothing(framework, backbone, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_args, **_options: nullcontext())  # which has no such device
    meta = torch.device("meta")
    model = build_model(ModelConfig(backbone, 16, image_size=32, pretrained=False))
    objective = TrainModule(model, framework_class(framework)(16, 10, 40))
    objective.framework.set_train_labels(torch.arange(40) % 10)
    objective.to(meta).framework.start_epoch(0)
    items = ImageDataset(open_dataset("digits").source, np.arange(40), model.preprocessing, augment="flip+crop")
    items.hold(meta)
    pixels, labels, positions = items.__getitems__(range(8))
    images = model.preprocessing.normalize(pixels)
    loss = objective(images, labels.to(meta), positions.to(meta))
    loss.backward()
    nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
    assert loss.device == meta
    assert all(parameter.grad.device == meta for parameter in model.parameters())


def test_asking_would_be_noticed():
    with pytest.raises(RuntimeError, match="item"):
        float(torch.zeros((), device="meta"))


def test_adam_is_fused(tiny_model):
    objective = TrainModule(tiny_model, framework_class("csq")(12, 10, 20))
    for name in ("adamw", "adam"):
        assert build_optimizer(objective, OptimizerConfig(name=name)).defaults["fused"]


@pytest.mark.slow
def test_a_compiled_backbone_is_the_same_model(tiny_config, tmp_path, monkeypatch):
    compiled, original = [], nn.Module.compile

    def translate_nothing(module, **options):  # what the translator sees, without the minutes that it takes
        compiled.append(type(module).__name__)
        original(module, backend="eager", **options)

    monkeypatch.setattr(nn.Module, "compile", translate_nothing)
    losses = []
    for choice in (False, True):
        components = set_up(replace(tiny_config, compile=choice), tmp_path / str(choice), Progress(None))
        with components.metrics_log, torch.no_grad():
            pixels, labels, positions = components.train_images.__getitems__(range(8))
            images = components.model.preprocessing.normalize(pixels)
            losses.append(components.train_module.eval()(images, labels, positions))
    assert compiled == ["VisionTransformer"]
    torch.testing.assert_close(*losses)
    assert set(components.model.state_dict()) == set(build_model(tiny_config.model).state_dict())
