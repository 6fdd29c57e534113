"""What training must do with a backbone that is no Vision Transformer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vtsearch.frameworks import framework_class
from vtsearch.models import ModelConfig, build_model, load_model
from vtsearch.models.alexnet import AlexNet
from vtsearch.training.config import OptimizerConfig
from vtsearch.training.loop import Run, train
from vtsearch.training.optimization import build_optimizer
from vtsearch.training.train_module import TrainModule

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tiny_config):
    model = ModelConfig(backbone="test_resnet", bits=12, image_size=32, pretrained=False)
    return replace(tiny_config, model=model, optimizer=OptimizerConfig(lr=2e-3, layer_decay=0.9))


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cnn") / "run"
    return folder, train(config, folder)


def test_it_learns_and_is_judged_beside_its_pooled_features(finished):
    _, result = finished
    assert result.final["expected"] > result.baselines["random codes"]["expected"] + 0.05
    assert result.final["expected"] > result.baselines["untrained model"]["expected"]
    assert 0.1 < result.baselines["pooled features"]["expected"] < 1


def test_a_killed_run_continues_to_the_same_weights(config, finished, tmp_path, monkeypatch):
    class KilledError(RuntimeError):
        pass

    step = Run._step

    def kill(self, *batch):
        if self.state.step == 11:
            raise KilledError
        return step(self, *batch)

    folder, result = finished
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", kill)
        with pytest.raises(KilledError):
            train(replace(config, checkpoint_steps=3), tmp_path / "run")
    assert train(replace(config, checkpoint_steps=3), tmp_path / "run", resume=True).final == result.final
    assert load_model(tmp_path / "run" / "final").fingerprint() == load_model(folder / "final").fingerprint()


def rates(objective):
    optimizer = build_optimizer(objective, OptimizerConfig(lr=1.0, layer_decay=0.5))
    return {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}


def test_layer_decay_slows_the_layers_near_the_image(config):
    model = build_model(config.model)
    rate = rates(TrainModule(model, framework_class("csq")(12, 10, 20)))
    assert len(rate) == len(list(model.parameters()))
    assert rate[id(model.head.outer.weight)] == 1.0
    early, late = (getattr(model.backbone, layer)[0].conv1.weight for layer in ("layer1", "layer3"))
    assert rate[id(early)] == 0.25 * rate[id(late)] < 0.25


def test_layer_decay_knows_the_layers_of_alexnet():
    with torch.device("meta"):
        model = build_model(ModelConfig("alexnet", 12, pretrained=False))
        rate = rates(TrainModule(model, framework_class("csq")(12, 10, 20)))
    features, classifier = model.backbone.features, model.backbone.classifier
    assert isinstance(model.backbone, AlexNet)
    layers = [features[0], features[3], features[6], features[8], features[10], classifier[4]]
    found = [rate[id(layer.weight)] for layer in layers]
    assert found == sorted(found)
    assert len(set(found)) == 6
    assert rate[id(classifier[1].weight)] == rate[id(classifier[4].weight)]
    assert rate[id(model.head.outer.weight)] == 1.0
