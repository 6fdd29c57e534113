from __future__ import annotations

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig, build_model
from vtsearch.tensors.preprocessing import Preprocessing

NAME = "vit_tiny_patch16_224"
UNTRAINED = "vit_base_patch16_18x2_224"  # timm knows it, and has no weights for it
REAL = Path(os.environ.get("VTSEARCH_DATA", ""), "backbones", f"{NAME}.augreg_in21k_ft_in1k.safetensors")


def build(seed=0, preprocessing=None, **fields):
    torch.manual_seed(seed)
    options = {"backbone": NAME, "bits": 12, "image_size": 32, "pretrained": False, "hidden": 16, **fields}
    return build_model(ModelConfig(**options), preprocessing)


@pytest.fixture(scope="module")
def model():
    return build(head="tokens").eval()


def pictures(count=3):
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(256, size=(20 + i, 30, 3), dtype=np.uint8)) for i in range(count)]


@pytest.mark.parametrize("head", ["tokens", "cls", "cls+patches", "dual"])
def test_images_become_features(head):
    model = build(head=head)
    assert model.bits == 12
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 12)


def test_the_tokens_head_is_the_published_one(model):
    layers = [type(layer).__name__ for layer in model.head.children()]
    assert layers == ["Dropout", "Linear", "ReLU", "Linear"]
    assert (model.head.inner.in_features, model.head.inner.out_features) == (5 * 192, 16)  # 4 patches, 1 class token
    assert model.head.dropout.p == 0.5
    tokens = torch.randn(2, 5, 192)
    inner = (tokens.reshape(2, -1) @ model.head.inner.weight.T + model.head.inner.bias).relu()
    torch.testing.assert_close(model.head(tokens), inner @ model.head.outer.weight.T + model.head.outer.bias)


def test_the_class_token_head_sees_the_class_token_alone():
    head = build(head="cls").head
    tokens = torch.randn(2, 5, 192)
    changed = torch.cat([tokens[:, :1], torch.randn(2, 4, 192)], dim=1)
    assert torch.equal(head(tokens), head(changed))
    assert sum(parameter.numel() for parameter in head.parameters()) == 192 * 12 + 12


@pytest.mark.parametrize(("backbone", "prefix"), [(NAME, 1), ("vit_small_patch16_dinov3", 5)])
def test_a_head_sees_class_token_and_patches_and_no_registers(backbone, prefix):
    head = build(backbone=backbone, head="cls+patches").head
    tokens = torch.randn(2, prefix + 4, head.outer.in_features // 2)
    both = torch.cat([tokens[:, 0], tokens[:, prefix:].mean(dim=1)], dim=1)
    torch.testing.assert_close(head(tokens), both @ head.outer.weight.T + head.outer.bias)


@pytest.mark.parametrize("head", ["tokens", "cls"])
def test_a_normed_head_balances_features_over_the_batch_and_has_no_bias_before_that(head):
    model = build(head=head, head_norm="batch")
    images = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features = model(images)
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(12), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.std(dim=0, correction=0), torch.ones(12), atol=0.05, rtol=0)
    assert model.head[0].outer.bias is None


def test_a_normed_head_encodes_by_its_running_statistics():
    head = build(head="cls", head_norm="batch").head
    tokens = torch.randn(32, 5, 192, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _ in range(100):
            together = head(tokens)
        alone = torch.cat([head.eval()(item[None]) for item in tokens])
    # The running variance divides by n - 1 and not by n.
    torch.testing.assert_close(alone, together * math.sqrt(31 / 32), rtol=0, atol=0.01)


def test_a_normed_head_trains_on_a_single_image():
    model = build(head_norm="batch", dropout=0.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = model(image)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    torch.testing.assert_close(model.eval()(image), features)


def test_the_published_start_has_its_bounds():
    head = build(head="tokens", head_init="published", hidden=64).head
    assert head.inner.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 64), rel=0.01)
    assert 0.5 < head.inner.bias.std() < 1.5
    assert head.outer.weight.abs().max() <= 1 / math.sqrt(64)


def test_the_default_start_keeps_features_small_for_any_number_of_tokens():
    for size, tokens in ((32, 5), (112, 50)):
        torch.manual_seed(0)
        head = build(head="tokens", image_size=size, hidden=1024).eval().head
        with torch.no_grad():
            assert 0.1 < head(torch.randn(64, tokens, 192)).std() < 1
    published = build(head="tokens", image_size=112, hidden=1024, head_init="published").eval().head
    with torch.no_grad():
        assert published(torch.randn(64, 50, 192)).std() > 1.5


def test_the_published_dropout_spares_the_attention():
    block = build(backbone_dropout=0.1).backbone.blocks[0]
    assert block.mlp.drop1.p == block.mlp.drop2.p == 0.1
    assert block.attn.proj_drop.p == 0.0


def test_stochastic_depth_grows_with_depth():
    blocks = build(drop_path=0.2).backbone.blocks
    shares = [getattr(block.drop_path1, "drop_prob", 0.0) for block in blocks]
    np.testing.assert_allclose(shares, np.linspace(0, 0.2, len(blocks)), atol=1e-7)
    assert build().backbone.blocks[-1].drop_path1.__class__.__name__ == "Identity"


def test_preprocessing_is_the_backbones_or_the_published_one():
    assert build(backbone=f"{NAME}.augreg_in21k_ft_in1k").preprocessing == Preprocessing(32)
    config = ModelConfig(NAME, 12, image_size=32, pretrained=False, hidden=16, preprocessing="published")
    published = build_model(config).preprocessing
    assert (published.mean, published.interpolation) == ((0.485, 0.456, 0.406), "bilinear")


def test_the_image_size_is_the_backbones_own_unless_given():
    assert build(image_size=None, head="cls").preprocessing.image_size == 224


def test_another_image_size_is_refused(model):
    with pytest.raises(ValueError, match=r"images: expected shape \(b, 3, 32, 32\), got \(2, 3, 48, 48\); a model has"):
        model(torch.zeros(2, 3, 48, 48))


def test_an_image_size_must_be_a_multiple_of_the_patch():
    with pytest.raises(ValueError, match="image_size: expected a multiple of 16, the patch of vit_tiny_patch16_224"):
        build(image_size=40)


def test_preprocessing_of_another_size_is_refused():
    with pytest.raises(ValueError, match="preprocessing: expected image_size 32, the model's, got 48"):
        build(preprocessing=Preprocessing(48))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_tiny_patch16_225", "expected the name of a timm model, got .* \\(did you mean 'vit_tiny_patch16_224'"),
        ("zzz", "expected the name of a timm model, got 'zzz'"),
        ("vit_tiny_patch16_224.nope", r"with one of timm's tags \(vit_tiny_patch16_224.augreg_in21k, "),
        ("alexnet.tv2", "expected alexnet or alexnet.tv_in1k, got 'alexnet.tv2'"),
        ("vit_base_patch16_224_in21k", "the old alias .*timm maps to augreg_in21k; write vit_base_patch16_224.orig_"),
    ],
)
def test_an_unsuitable_backbone_is_named(name, message):
    with pytest.raises(ValueError, match=message):
        build(backbone=name)


def test_a_backbone_without_weights_says_what_to_do():
    with pytest.raises(ValueError, match=r"timm has no weights for .*; use --weights FILE or --no-pretrained"):
        build(backbone=UNTRAINED, pretrained=True)


def test_an_unreachable_hub_says_what_to_do(monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(VtsearchError) as error:
        build(pretrained=True)
    assert "--weights FILE" in str(error.value)
    assert "--no-pretrained" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("head", ["cls", "cls+patches", "dual"])
def test_a_backbone_without_class_token_has_no_head_of_it(head):
    with pytest.raises(
        ValueError, match=rf"head: .* has no class token; expected 'tokens' or 'pooled', got '{re.escape(head)}'"
    ):
        build(backbone="vit_base_patch16_siglip_224", image_size=16, head=head)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bits", 0, "bits: expected at least 1, got 0"),
        ("hidden", 0, "hidden: expected at least 1, got 0"),
        ("bits", 10**6, "bits: expected at most 65,528, got 1000000"),
        ("hidden", 10**6, "hidden: expected at most 65,536, got 1000000"),
        ("image_size", 10**9, "image_size: expected at most 8,192, got 1000000000"),
        ("image_size", 0, "image_size: expected at least 1, got 0"),
        ("bits", 1.5, "bits: expected a whole number, at least 1, got 1.5"),
        ("bits", True, "bits: expected a whole number, at least 1, got True"),
        ("dropout", float("nan"), "dropout: expected from 0 to below 1, got nan"),
        ("dropout", 1.0, "dropout: expected from 0 to below 1, got 1.0"),
        ("backbone_dropout", -0.1, "backbone_dropout: expected from 0 to below 1, got -0.1"),
        ("head", "all", "head: expected one of auto, published, tokens, cls, cls+patches, dual, pooled, got 'all'"),
        ("head_init", "zero", "head_init: expected one of fan_in, published, got 'zero'"),
        ("head_norm", "layer", "head_norm: expected one of none, batch, got 'layer'"),
        ("preprocessing", "imagenet", "preprocessing: expected one of backbone, published, got 'imagenet'"),
    ],
)
def test_config_values_out_of_range_are_named(field, value, message):
    with pytest.raises(ValueError) as error:
        ModelConfig(**{field: value})
    assert str(error.value) == message


def test_the_fingerprint_is_that_of_weights_and_preprocessing(model):
    assert build(head="tokens").fingerprint() == model.fingerprint()
    assert build(head="tokens", seed=1).fingerprint() != model.fingerprint()
    assert build_model(model.config, Preprocessing(32, crop_pct=1.0)).fingerprint() != model.fingerprint()
    changed = build(head="tokens")
    with torch.no_grad():
        changed.head.outer.bias[0] += 1e-3
    assert changed.fingerprint() != model.fingerprint()


@pytest.mark.skipif(not REAL.is_file(), reason="VTSEARCH_DATA has no backbone weights")
def test_real_weights_tell_images_apart_at_another_size():
    model = build(backbone=f"{NAME}.augreg_in21k_ft_in1k", weights=str(REAL), image_size=64).eval()
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    flat, stripes = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    stripes[..., ::8] = 1
    with torch.no_grad():
        one, other = (model.backbone(images)[:, 0] for images in (flat, stripes))
    assert torch.cosine_similarity(one, other).item() < 0.9
