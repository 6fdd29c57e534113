"""Layers that training leaves alone, and activations that it computes twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vtsearch.models import ModelConfig, build_model, load_model
from vtsearch.models.freezing import freeze, recompute_activations
from vtsearch.training import run_folder as files
from vtsearch.training.loop import train
from vtsearch.training.sampler import MODEL_SEED, derived_seed


def cnn():
    return build_model(ModelConfig("resnet18", 8, image_size=32, pretrained=False)).backbone


def trained_weights(config, folder):
    train(replace(config, baselines=False, epochs=1), folder)
    return load_model(folder / files.FINAL).state_dict()


@pytest.mark.parametrize("layers", [1, 3])
def test_frozen_layers_are_as_they_were(tiny_config, tmp_path, layers):
    torch.manual_seed(derived_seed(0, MODEL_SEED))
    before = build_model(tiny_config.model).state_dict()
    after = trained_weights(replace(tiny_config, freeze=layers), tmp_path / "run")
    same = {name for name in before if torch.equal(before[name], after[name])}
    frozen = ("backbone.cls_token", "backbone.pos_embed", "backbone.patch_embed.")
    frozen += tuple(f"backbone.blocks.{block}." for block in range(layers - 1))
    assert same == {name for name in before if name.startswith(frozen)}


def test_a_backbone_may_be_frozen_whole(tiny_model):
    freeze(tiny_model.backbone, 7)
    assert not any(parameter.requires_grad for parameter in tiny_model.backbone.parameters())
    assert all(parameter.requires_grad for parameter in tiny_model.head.parameters())


def test_what_cannot_be_frozen_is_refused(tiny_model):
    with pytest.raises(ValueError, match="freeze: expected at most 7, the layers of the backbone, got 8"):
        freeze(tiny_model.backbone, 8)
    with pytest.raises(ValueError, match="freeze: expected 0 with a backbone that is no Vision Transformer, got 2"):
        freeze(cnn(), 2)


def test_activations_that_are_computed_again_change_no_number(tiny_config, tmp_path):
    config = replace(tiny_config, model=replace(tiny_config.model, drop_path=0.2, backbone_dropout=0.1))
    kept = trained_weights(config, tmp_path / "kept")
    again = trained_weights(replace(config, gradient_checkpointing=True), tmp_path / "again")
    assert all(torch.equal(tensor, again[name]) for name, tensor in kept.items())


def test_a_network_without_that_mode_is_refused():
    with pytest.raises(ValueError, match="gradient_checkpointing: expected false with this backbone"):
        recompute_activations(torch.nn.Linear(2, 2))
