"""The classification term beside a framework's loss, and mixed images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from vtsearch.frameworks import framework_class
from vtsearch.frameworks.nested import Nested
from vtsearch.models import ModelConfig, build_model
from vtsearch.training.train_module import Classifier, TrainModule


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("multi_label", [False, True])
def test_the_term_is_a_weighted_cross_entropy(smoothing, multi_label):
    random = np.random.default_rng(0)
    columns = random.random((5, 4)) < 0.5 if multi_label else np.eye(4)[random.integers(0, 4, 5)]
    features = random.standard_normal((5, 8)).astype(np.float32)
    classifier = Classifier(8, 4, weight=0.3, smoothing=smoothing)
    weight, bias = (parameter.detach().numpy() for parameter in classifier.linear.parameters())
    shares = columns / np.maximum(columns.sum(axis=1, keepdims=True), 1)
    targets = (1 - smoothing) * shares + smoothing / 4
    expected = -0.3 * (targets * log_softmax(np.tanh(features) @ weight.T + bias, axis=1)).sum(axis=1).mean()
    labels = torch.from_numpy(columns.astype(np.float32) if multi_label else columns.argmax(axis=1))
    assert classifier(torch.from_numpy(features), labels).item() == pytest.approx(expected, rel=1e-5)


class Doubled(nn.Module):
    """Twice the mean pixel of each image, as two features."""

    def forward(self, images):
        return 2 * images.mean(dim=(1, 2, 3))[:, None].expand(-1, 2)


@pytest.mark.parametrize(
    ("head", "norm", "seen"),
    [("cls", "none", "class token"), ("cls", "batch", "class token"), ("tokens", "none", "mean")],
)
def test_an_unsupervised_framework_gets_what_the_linear_layer_sees(head, norm, seen):
    torch.manual_seed(0)
    config = ModelConfig("test_vit", 8, head, 32, pretrained=False, hidden=8, dropout=0.0, head_norm=norm)
    module = TrainModule(build_model(config).eval(), framework_class("bihalf")(8, 3, 6))
    images, labels, positions = torch.rand(6, 3, 32, 32), torch.arange(6) % 3, torch.arange(6)
    tokens = module.model.backbone_outputs(images)
    inputs = tokens[:, 0] if seen == "class token" else tokens.mean(dim=1)
    expected = module.framework(module.model.head(tokens), labels, positions, inputs)
    torch.testing.assert_close(module(images, labels, positions), expected)


def test_mixed_images_have_the_losses_of_both_labels():
    framework = framework_class("csq")(2, 3, 4).double()
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels, positions = torch.tensor([0, 1, 2, 1]), torch.arange(4)
    module = TrainModule(Doubled(), framework, mixup=0.4)
    torch.manual_seed(7)
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    features = Doubled()(share * images + (1 - share) * images[[3, 0, 1, 2]])
    losses = [framework(features, each, positions) for each in (labels, labels[[3, 0, 1, 2]])]
    torch.manual_seed(7)
    assert module(images, labels, positions).item() == pytest.approx(
        float(share * losses[0] + (1 - share) * losses[1]), rel=1e-12
    )
    plain = framework(Doubled()(images), labels, positions).item()
    assert module.eval()(images, labels, positions).item() == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("name", ["dsh", "hashnet", "idhn", "dch", "dtsh", "adsh", "bihalf"])
def test_frameworks_that_compare_images_mix_none(name):
    framework = framework_class(name)(8, 3, 4)
    TrainModule(Doubled(), framework)
    with pytest.raises(ValueError, match=f"mixup: expected 0 with {type(framework).__name__}, which compares images"):
        TrainModule(Doubled(), framework, mixup=0.2)


@pytest.mark.parametrize("name", ["csq", "dpn", "greedyhash", "orthohash"])
def test_the_loss_of_a_pointwise_framework_is_a_mean_over_images(name):
    framework, random = framework_class(name)(8, 3, 6).double(), torch.Generator().manual_seed(0)
    assert framework.is_pointwise
    features = torch.randn(6, 8, generator=random, dtype=torch.float64)
    labels, positions = torch.tensor([0, 1, 2, 1, 0, 2]), torch.arange(6)
    each = [framework(features[i : i + 1], labels[i : i + 1], positions[i : i + 1]).item() for i in range(6)]
    assert framework(features, labels, positions).item() == pytest.approx(np.mean(each), rel=1e-12)


def test_what_follows_remembered_features_or_is_nested_is_as_its_parts():
    update = framework_class("dpn").Options(update="closest")
    assert not framework_class("dpn")(8, 3, 6, update).is_pointwise
    assert Nested(framework_class("csq"), (4, 8), 3, 6).is_pointwise
    assert not Nested(framework_class("dsh"), (4, 8), 3, 6).is_pointwise
