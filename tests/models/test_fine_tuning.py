from __future__ import annotations

import pytest
import torch

from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig, build_model
from vtsearch.models.fine_tuning import take_weights


def build(seed, **fields):
    torch.manual_seed(seed)
    options = {
        "backbone": "test_vit",
        "bits": 12,
        "head": "tokens",
        "image_size": 32,
        "pretrained": False,
        "hidden": 16,
    }
    return build_model(ModelConfig(**{**options, **fields}))


def equal(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_model_of_one_kind_becomes_the_trained_one():
    trained, model = build(0, head_norm="batch"), build(1, head_norm="batch")
    assert take_weights(model, trained) == ""
    assert model.fingerprint() == trained.fingerprint()


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"bits": 16}, "bits is 16, not 12"),
        ({"head": "cls"}, "head is cls, not tokens"),
        ({"head_norm": "batch"}, "head_norm is batch, not none"),
        ({"hidden": 8}, "inner.weight has the shape (8, 320), not (16, 320)"),
    ],
)
def test_a_head_of_another_kind_starts_anew(fields, difference):
    trained, model, fresh = build(0), build(1, **fields), build(1, **fields)
    assert take_weights(model, trained) == difference
    assert equal(model.backbone, trained.backbone)
    assert equal(model.head, fresh.head)


@pytest.mark.parametrize(("head", "is_taken"), [("cls", True), ("tokens", False)])
def test_position_embeddings_are_resampled_to_another_image_size(head, is_taken):
    trained, model = build(0, head=head), build(1, head=head, image_size=64)
    trained.backbone.pos_embed.data.fill_(3.0)
    assert (take_weights(model, trained) == "") == is_taken
    torch.testing.assert_close(model.backbone.pos_embed[0, -16:], torch.full((16, model.width), 3.0))
    assert torch.equal(model.backbone.patch_embed.proj.weight, trained.backbone.patch_embed.proj.weight)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 12)


def test_a_cnn_takes_its_statistics_too():
    trained, model = (
        build(seed, backbone="test_resnet", head="pooled", image_size=size) for seed, size in enumerate((32, 48))
    )
    trained.backbone.bn1.running_mean.fill_(7.0)
    assert take_weights(model, trained) == ""
    assert model.backbone.bn1.running_mean[0] == 7.0


def test_another_backbone_is_refused():
    with pytest.raises(VtsearchError, match="backbone: expected weights of test_vit2, got those of test_vit "):
        take_weights(build(0, backbone="test_vit2", preprocessing="published"), build(0, preprocessing="published"))


def test_other_preprocessing_is_refused():
    with pytest.raises(VtsearchError, match="preprocessing: expected that of the trained model"):
        take_weights(build(0, preprocessing="published"), build(0))
