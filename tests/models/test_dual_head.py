"""The head of two streams: what each half of the bits sees."""

from __future__ import annotations

import re

import pytest
import torch

from vtsearch.models import ModelConfig, build_model
from vtsearch.models.dual_head import DualHead


def build(**fields):
    torch.manual_seed(0)
    options = {"backbone": "test_vit", "bits": 11, "image_size": 48, "pretrained": False, "head": "dual"}
    return build_model(ModelConfig(**options | fields))


@pytest.fixture
def head():
    found = build().head
    assert isinstance(found, DualHead)
    return found.eval()


def tokens_of(head, count=10):
    return torch.randn(2, count, head.outer.in_features, generator=torch.Generator().manual_seed(0))


def test_even_bits_are_global_and_odd_bits_are_local(head):
    tokens = tokens_of(head)
    whole = tokens[:, 0] @ head.outer.weight.T + head.outer.bias
    parts = head.local_features(tokens) @ head.outer_local.weight.T + head.outer_local.bias
    features = head(tokens)
    assert (whole.shape, parts.shape) == ((2, 6), (2, 5))
    torch.testing.assert_close(features[:, 0::2], whole)
    torch.testing.assert_close(features[:, 1::2], parts)


def test_a_local_feature_is_the_class_token_beside_its_group_of_patches(head):
    tokens = tokens_of(head)
    sizes = [3, 2, 2, 2]  # of 9 patches
    groups = [torch.cat([tokens[:, :1], group], dim=1) for group in tokens[:, 1:].split(sizes, dim=1)]
    expected = [head.norm(head.block(group)[:, 0]) for group in groups]
    torch.testing.assert_close(head.local_features(tokens), torch.cat(expected, dim=1))
    changed = tokens.clone()
    changed[:, 4] = changed[:, 4].flip(1)  # the first patch of the second group
    width = tokens.shape[2]
    same = (head.local_features(changed) == head.local_features(tokens)).reshape(2, 4, width).all(dim=2)
    assert same.tolist() == [[True, False, True, True]] * 2


def test_no_bit_depends_on_registers():
    model = build(backbone="vit_small_patch16_dinov3", groups=2)
    prefix = model.backbone.num_prefix_tokens
    assert prefix == 5
    tokens = tokens_of(model.head, prefix + 9)
    changed = tokens.clone()
    changed[:, 1:prefix] = changed[:, 1:prefix].flip(2)
    assert torch.equal(model.head(changed), model.head(tokens))


@pytest.mark.parametrize(
    ("backbone", "heads"), [("vit_tiny_patch16_224", 3), ("vit_small_patch16_18x2_224", 6), ("test_vit", 2)]
)
def test_the_block_has_the_heads_of_the_backbone(backbone, heads):
    assert build(backbone=backbone).head.block.attn.num_heads == heads


def test_local_features_start_as_the_class_token(head):
    tokens = tokens_of(head)
    local = head.local_features(tokens).reshape(2, 4, -1)
    cosine = torch.cosine_similarity(local, tokens[:, :1], dim=2)
    assert cosine.min() > 0.9


def test_the_published_start_holds_for_both_streams():
    model = build(head_init="published")
    for layer in (model.head.outer, model.head.outer_local):
        assert 0.3 < layer.bias.std() < 2


def test_a_normed_head_has_no_bias_in_either_stream():
    model = build(head_norm="batch")
    assert model.head[0].outer.bias is None
    assert model.head[0].outer_local.bias is None
    features = model(torch.randn(32, 3, 48, 48, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(11), atol=1e-5, rtol=0)


def test_the_fingerprint_knows_the_groups_of_this_head_alone():
    assert build(groups=1).fingerprint() != build(groups=9).fingerprint()
    assert build(head="cls", groups=1).fingerprint() == build(head="cls", groups=2).fingerprint()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 1}, "bits: expected at least 2 with the head 'dual', got 1"),
        ({"groups": 10}, "groups: expected at most 9, the patches of an image, got 10"),
        ({"groups": 0}, "groups: expected at least 1, got 0"),
        (
            {"backbone": "vit_base_patch16_siglip_224"},
            "head: vit_base_patch16_siglip_224 has no class token; expected 'tokens' or 'pooled', got 'dual'",
        ),
        ({"backbone": "resnet18"}, "head: resnet18 is no Vision Transformer; expected 'pooled', got 'dual'"),
    ],
)
def test_what_the_head_cannot_have_is_named(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build(**fields)
