"""Fitted models: what they compute, what their folder says, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import vtsearch
from vtsearch.data import open_dataset
from vtsearch.encoding import Encoder
from vtsearch.errors import VtsearchError
from vtsearch.fitting import fit_affine
from vtsearch.fitting.model import fit_head
from vtsearch.models import ModelConfig, build_model, load_model, save_model
from vtsearch.models.fitted import Fitted

SMALL = {"backbone": "test_vit", "bits": 12, "image_size": 32, "pretrained": False}


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits")


@pytest.fixture(scope="module")
def fitted(digits, tmp_path_factory):
    """ITQ on the class token in fp32, and its folder."""
    folder = tmp_path_factory.mktemp("fitted") / "model"
    config = ModelConfig(**SMALL, head="cls")
    result = vtsearch.fit("itq", digits, folder, model=config, seed=4, iterations=9, precision="fp32", batch_size=64)
    return result, folder


def tokens(encoder, images, positions, pool):
    """(n, width) float32 of the backbone alone."""
    model = encoder.model
    width = model.head.outer.in_features
    return encoder.outputs(lambda batch: pool(model.backbone(batch)), width, images, positions)


def test_codes_are_the_signs_of_the_map_fitted_to_the_features(fitted, digits):
    encoder, split = Encoder(fitted[1], precision="fp32"), digits.split
    train, query = (
        tokens(encoder, digits.source, part, lambda all_: all_[:, 0]) for part in (split.train, split.query)
    )
    found = fit_affine("itq", train, 12, seed=4, iterations=9)
    state = encoder.model.head.outer
    np.testing.assert_allclose(state.weight.detach().numpy(), found.weight, atol=1e-4)
    np.testing.assert_allclose(state.bias.detach().numpy(), found.bias, atol=1e-4)
    codes, values = encoder.encode(digits.source, split.query), found(query)
    clear = np.abs(values) > 1e-4
    assert clear.mean() > 0.99
    assert (vtsearch.unpack(codes, 12) == (values > 0))[clear].all()


def test_the_result_has_the_scores_of_the_codes(fitted, digits):
    result, split = fitted[0], digits.split
    encoder = vtsearch.load_model(fitted[1])
    encoder = Encoder(encoder.model, precision="fp32")
    codes = [encoder.encode(digits.source, part) for part in (split.query, split.database)]
    labels = [digits.source.labels[part] for part in (split.query, split.database)]
    assert result.evaluation.mean_average_precision.expected == vtsearch.mean_average_precision(*codes, *labels)
    assert result.evaluation.mean_average_precision.expected > 0.2  # random codes: 0.1


def test_a_model_folder_says_how_it_was_fitted(fitted, digits, tmp_path):
    said = Fitted("itq", 4, len(digits.split.train), "fp32", 9, "digits", digits.fingerprint)
    model = load_model(fitted[1])
    assert (model.fitted, fitted[0].model.fitted) == (said, said)
    assert model.fingerprint() == fitted[0].model.fingerprint()
    save_model(model, tmp_path / "copy")
    assert load_model(tmp_path / "copy").fitted == said


def test_a_trained_model_says_nothing_of_it(tmp_path):
    save_model(build_model(ModelConfig(**SMALL, head="cls")), tmp_path / "model")
    assert "fitted" not in json.loads((tmp_path / "model/config.json").read_text())
    assert load_model(tmp_path / "model").fitted is None


@pytest.mark.parametrize(
    "changes",
    [{"surprise": 1}, {"method": None}, {"seed": "4"}, {"images": -1}, {"iterations": 1.5}, {"protocol": 3}],
    ids=str,
)
def test_a_folder_that_says_it_wrongly_is_damaged(fitted, tmp_path, changes):
    save_model(fitted[0].model, tmp_path / "model")
    path = tmp_path / "model/config.json"
    content = json.loads(path.read_text())
    content["fitted"] |= changes
    path.write_text(json.dumps(content))
    with pytest.raises(VtsearchError, match=r"model: damaged model folder \("):
        load_model(tmp_path / "model")


def test_fitted_says_what_it_expects():
    with pytest.raises(TypeError, match="arithmetic: expected text, got 3"):
        Fitted("itq", 0, 5, 3)
    with pytest.raises(ValueError, match="seed: expected at least 0, got -1"):
        Fitted("itq", -1, 5, "fp32")


@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet"])
def test_pooled_features_are_those_of_the_head(digits, backbone):
    torch.manual_seed(0)
    model = build_model(ModelConfig(**SMALL | {"backbone": backbone}, head="pooled")).eval()
    encoder, positions = Encoder(model, precision="fp32"), digits.split.train[:40]
    features = tokens(encoder, digits.source, positions, lambda all_: all_.mean(1) if all_.ndim == 3 else all_)
    fit_head(encoder, "pca", digits.source, positions)
    found = fit_affine("pca", features, 12)
    size = np.abs(found(features)).max()
    np.testing.assert_allclose(encoder.features(digits.source, positions), found(features), atol=1e-3 * size)


def test_own_images_without_a_protocol_are_enough():
    images = [np.full((20, 30, 3), 7 * number, np.uint8) for number in range(8)]
    model = build_model(ModelConfig(**SMALL, head="cls"))
    feature_seconds, fit_seconds = fit_head(Encoder(model), "lsh", images, [0, 3, 5])
    assert min(feature_seconds, fit_seconds) >= 0
    assert (model.fitted.images, model.fitted.protocol, model.fitted.iterations) == (3, None, None)


def test_equal_seeds_give_equal_models(digits, tmp_path):
    """Also of a backbone with random weights, whatever was drawn before; what is drawn after is not changed."""
    prints = []
    for seed in (1, 1, 2):
        torch.rand(1)
        before = torch.get_rng_state()
        config = ModelConfig(**SMALL)
        result = vtsearch.fit(
            "lsh", digits, tmp_path / "m", model=config, seed=seed, evaluate=False, overwrite=True, precision="fp32"
        )
        assert result.evaluation is None
        assert torch.equal(torch.get_rng_state(), before)
        prints.append(result.model.fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_patch_tokens_stand_beside_the_class_token(digits):
    torch.manual_seed(0)
    model = build_model(ModelConfig(**SMALL, head="cls+patches")).eval()
    encoder, positions = Encoder(model, precision="fp32"), digits.split.train[:40]
    features = tokens(encoder, digits.source, positions, lambda all_: torch.cat([all_[:, 0], all_[:, 1:].mean(1)], 1))
    fit_head(encoder, "itq", digits.source, positions, seed=2)
    found = fit_affine("itq", features, 12, seed=2)
    size = np.abs(found(features)).max()
    np.testing.assert_allclose(encoder.features(digits.source, positions), found(features), atol=1e-3 * size)


@pytest.mark.parametrize(("backbone", "head"), [("test_vit", "cls"), ("test_resnet", "pooled")])
def test_the_head_sees_the_class_token_where_there_is_one(digits, tmp_path, backbone, head):
    config = ModelConfig(**SMALL | {"backbone": backbone})
    result = vtsearch.fit("lsh", digits, tmp_path / "model", model=config, evaluate=False)
    assert result.model.config.head == load_model(tmp_path / "model").config.head == head


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        (
            "itq",
            {"head": "tokens"},
            "head: expected one of auto, cls, cls\\+patches, pooled for a fitted head, got tokens",
        ),
        ("itq", {"head_norm": "batch"}, "head_norm: expected none for a fitted head, got batch"),
        ("itq", {"bits": 65}, "bits: expected at most 64 for itq, the width of the features, got 65"),
        ("sdh", {}, "method: expected one of pca, itq, rotation, lsh, got 'sdh'"),
    ],
)
def test_what_cannot_be_fitted_writes_nothing(digits, tmp_path, method, changes, message):
    with pytest.raises(ValueError, match=message):
        vtsearch.fit(method, digits, tmp_path / "model", model=ModelConfig(**SMALL | changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fields", [{"head": "tokens"}, {"head": "cls", "head_norm": "batch"}])
def test_another_head_cannot_be_fitted(digits, fields):
    encoder = Encoder(build_model(ModelConfig(**SMALL | fields, hidden=8)))
    with pytest.raises(ValueError, match="head: expected 'cls', 'cls\\+patches' or 'pooled' without a norm, got "):
        fit_head(encoder, "lsh", digits.source)


def test_folders_are_replaced_only_when_asked(fitted, digits, tmp_path):
    with pytest.raises(
        FileExistsError, match=r"output: .*model is a model; choose another --output, or --overwrite it"
    ):
        vtsearch.fit("lsh", digits, fitted[1], model=ModelConfig(**SMALL))
    (tmp_path / "precious").write_text("x")
    with pytest.raises(ValueError, match="folder: expected a new or empty folder or a model to replace"):
        vtsearch.fit("lsh", digits, tmp_path, model=ModelConfig(**SMALL), overwrite=True)
