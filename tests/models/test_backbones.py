from __future__ import annotations

import urllib.request
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig, build_model, load_model, save_model
from vtsearch.models.alexnet import AlexNet
from vtsearch.models.backbones import (
    SHORT_NAMES,
    architecture,
    create_backbone,
    feature_width,
    has_stochastic_depth,
    is_known,
    registers_of,
)
from vtsearch.models.hash_model import outline
from vtsearch.models.heads import ClassTokenHead, PooledHead, TokensHead, pooled
from vtsearch.models.weights import load_backbone_weights
from vtsearch.tensors.preprocessing import Preprocessing

COUNTS = {  # of the backbone, without any classifier, and of the published head at 64 bits
    "vts16": (85_798_656, 151_296 * 1024 + 1024 + 1024 * 64 + 64),
    "vts32": (87_455_232, 38_400 * 1024 + 1024 + 1024 * 64 + 64),
    "vit_l32": (305_510_400, 50 * 1024 * 1024 + 1024 + 1024 * 64 + 64),
    "vit_l16": (303_301_632, 197 * 1024 * 1024 + 1024 + 1024 * 64 + 64),
    "resnet50": (23_508_032, 2048 * 64 + 64),
    "alexnet": (57_003_840, 4096 * 64 + 64),
}


def build(name, seed=0, **fields):
    torch.manual_seed(seed)
    return build_model(ModelConfig(name, **{"bits": 12, "image_size": 64, "pretrained": False, "hidden": 16, **fields}))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def alexnet_state():
    """torchvision's AlexNet with its classifier of 1,000 classes."""
    torch.manual_seed(0)
    return torchvision.models.alexnet().state_dict()


@pytest.mark.parametrize("name", COUNTS)
def test_short_names_are_the_published_networks(name):
    with torch.device("meta"):
        model = build_model(ModelConfig(name, 64, head="published", pretrained=False))
    assert (count(model.backbone), count(model.head)) == COUNTS[name]
    assert model.preprocessing.image_size == 224
    assert model.config.head == ("tokens" if name.startswith("v") else "pooled")
    assert count(model.head) == COUNTS[name][1]


def test_short_names_mean_the_published_weights():
    for name, full in SHORT_NAMES.items():
        assert is_known(name)
        if name != "alexnet":
            assert full in timm.list_pretrained()
    transformers = [full for full in SHORT_NAMES.values() if full.startswith("vit")]
    assert {full.partition(".")[2] for full in transformers} == {"orig_in21k"}
    urls = {name: timm.get_pretrained_cfg(SHORT_NAMES[name]).url for name in ("vts16", "vts32", "resnet50")}
    assert urls["resnet50"].endswith("/resnet50-0676ba61.pth")  # torchvision's, version 1
    assert (architecture("vts16"), architecture("resnet50")) == ("vit_base_patch16_224", "resnet50")


def test_the_published_transformers_have_their_layers():
    with torch.device("meta"):
        model = build_model(ModelConfig("vts32", 64, head="published", pretrained=False, backbone_dropout=0.1))
    rates = [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout) and layer.p]
    assert sorted(rates) == [0.1] * 25 + [0.5]  # after the positions, twice in each of 12 MLPs, in the head
    assert {block.attn.proj_drop.p for block in model.backbone.blocks} == {0.0}
    assert {layer.eps for layer in model.modules() if isinstance(layer, nn.LayerNorm)} == {1e-6}


def test_attention_is_fused():
    for name in ("vts16", "vts32"):
        with torch.device("meta"):
            backbone = create_backbone(name, image_size=None, pretrained=False, dropout=0)
        assert all(block.attn.fused_attn for block in backbone.blocks)
    backbone = build("vit_tiny_patch16_224").eval().backbone
    called = []
    original = nn.functional.scaled_dot_product_attention

    def counted(*arguments, **options):
        called.append(arguments[0].shape)
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(nn.functional, "scaled_dot_product_attention", counted)
        backbone(torch.zeros(2, 3, 64, 64))
    assert called == [(2, 3, 17, 64)] * 12


def test_a_model_computes_attention_in_separate_steps_on_a_cpu_and_fused_elsewhere():
    model = build("vit_tiny_patch16_224").eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        fused = model.backbone(images)
        model(images)
        assert not any(block.attn.fused_attn for block in model.backbone.blocks)
        torch.testing.assert_close(model.backbone(images), fused, rtol=1e-4, atol=1e-5)
    model.to("meta")(images.to("meta"))
    assert all(block.attn.fused_attn for block in model.backbone.blocks)


def test_resnet50_is_torchvisions():
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50().eval()
    ours = create_backbone("resnet50", image_size=64, pretrained=False, dropout=0.1).eval()
    state = {name: tensor for name, tensor in theirs.state_dict().items() if not name.startswith("fc.")}
    ours.load_state_dict(state, strict=True)
    images = torch.randn(2, 3, 64, 64)
    theirs.fc = nn.Identity()
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_alexnet_is_the_published_one(alexnet_state):
    model = build("alexnet", image_size=None, bits=8).eval()
    model.backbone.load_state_dict({k: v for k, v in alexnet_state.items() if not k.startswith("classifier.6")})
    theirs = torchvision.models.alexnet()
    theirs.load_state_dict(alexnet_state)
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        flat = theirs.features(images).reshape(2, 256 * 6 * 6)  # no pooling to 6 x 6
        first = (flat @ alexnet_state["classifier.1.weight"].T + alexnet_state["classifier.1.bias"]).relu()
        second = (first @ alexnet_state["classifier.4.weight"].T + alexnet_state["classifier.4.bias"]).relu()
        expected = second @ model.head.outer.weight.T + model.head.outer.bias
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)
    assert [layer.p for layer in model.backbone.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "resnet50"])
def test_the_pixels_of_torchvisions_networks_are_the_published_ones(name):
    own, published = (build(name, preprocessing=choice).preprocessing for choice in ("backbone", "published"))
    assert own == published == Preprocessing(64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear", 224 / 256)


def test_published_starts_of_the_pooled_heads():
    resnet = build("resnet18", bits=64, head_init="published").head.outer
    assert resnet.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not resnet.bias.any()
    alexnet = build("alexnet", bits=64, head_init="published").head.outer
    assert alexnet.weight.abs().max().item() == pytest.approx(1 / 64, rel=0.01)  # 1 / sqrt(4096), as torch draws
    assert alexnet.bias.any()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_files_in_torchvisions_names_are_read(alexnet_state, tmp_path, suffix):
    torch.manual_seed(1)
    for name, state in (("alexnet", alexnet_state), ("resnet18", torchvision.models.resnet18().state_dict())):
        path = tmp_path / f"{name}.{suffix}"
        save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
        backbone = create_backbone(name, image_size=64, pretrained=False, dropout=0)
        load_backbone_weights(backbone, path)
        loaded = backbone.state_dict()
        assert all(torch.equal(loaded[key], state[key]) for key in loaded)
        assert set(state) - set(loaded) <= {"fc.weight", "fc.bias", "classifier.6.weight", "classifier.6.bias"}


def test_weights_under_the_name_of_a_classifier_that_stays_are_read(tmp_path):
    state = timm.create_model(
        "convnext_atto"
    ).state_dict()  # head.norm belongs to the pooled features, head.fc does not
    state["head.norm.weight"] += 1
    torch.save(state, tmp_path / "w.pth")
    backbone = create_backbone("convnext_atto", image_size=64, pretrained=False, dropout=0)
    load_backbone_weights(backbone, tmp_path / "w.pth")
    assert torch.equal(backbone.state_dict()["head.norm.weight"], state["head.norm.weight"])


def test_weights_of_another_network_are_refused(alexnet_state, tmp_path):
    torch.save(alexnet_state, tmp_path / "w.pth")
    with pytest.raises(VtsearchError, match="not weights of resnet18"):
        load_backbone_weights(
            create_backbone("resnet18", image_size=64, pretrained=False, dropout=0), tmp_path / "w.pth"
        )
    (tmp_path / "w.npz").write_bytes(b"nothing")
    with pytest.raises(VtsearchError, match="not weights of alexnet"):
        load_backbone_weights(AlexNet(pretrained=False), tmp_path / "w.npz")


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "swin_tiny_patch4_window7_224", "mobilenetv3_small_100"])
def test_any_network_of_timm_gives_pooled_features(name):
    model = build(name, image_size=64 if name != "swin_tiny_patch4_window7_224" else 56).eval()
    side = model.preprocessing.image_size
    assert isinstance(model.head, PooledHead)
    with torch.inference_mode():
        outputs = model.backbone(torch.randn(2, 3, side, side))
        assert outputs.shape == (2, model.width) == (2, feature_width(model.backbone))
        assert model(torch.randn(2, 3, side, side)).shape == (2, 12)


@pytest.mark.parametrize(
    ("head", "name", "pretrained", "expected"),
    [
        ("auto", "vit_tiny_patch16_224", True, ClassTokenHead),
        ("auto", "vit_tiny_patch16_224", False, TokensHead),
        ("auto", "xcit_nano_12_p16_224", True, ClassTokenHead),
        ("auto", "vit_base_patch16_siglip_224", True, PooledHead),
        ("auto", "vit_base_patch16_siglip_224", False, TokensHead),
        ("auto", "resnet18", True, PooledHead),
        ("auto", "resnet18", False, PooledHead),
        ("published", "vit_tiny_patch16_224", True, TokensHead),
        ("published", "resnet18", True, PooledHead),
    ],
)
def test_some_heads_are_what_suits_the_backbone(head, name, pretrained, expected):
    assert type(outline(ModelConfig(name, 12, head=head, image_size=32, pretrained=pretrained))["head"]) is expected


def test_a_file_of_weights_is_pretraining():
    for pretrained in (True, False):
        config = ModelConfig("vit_tiny_patch16_224", 12, image_size=32, weights="w", pretrained=pretrained)
        assert type(outline(config)["head"]) is ClassTokenHead


def test_a_model_is_the_same_by_either_name_of_its_head():
    assert build("vit_tiny_patch16_224").fingerprint() == build("vit_tiny_patch16_224", head="tokens").fingerprint()


def test_pooled_is_the_mean_token():
    head = build("vit_tiny_patch16_224", head="pooled").head
    tokens = torch.randn(2, 17, 192)
    torch.testing.assert_close(head(tokens), tokens.mean(1) @ head.outer.weight.T + head.outer.bias)
    assert torch.equal(pooled(tokens[:, 0]), tokens[:, 0])


def test_registers_are_no_part_of_the_mean():
    model = build("vit_small_patch14_reg4_dinov2", head="pooled", image_size=28)
    tokens = torch.randn(2, 1 + 4 + 4, 384)
    expected = torch.cat([tokens[:, :1], tokens[:, 5:]], dim=1).mean(1)
    assert registers_of(model.backbone) == slice(1, 5)
    torch.testing.assert_close(model.head.pool(tokens), expected)


def test_a_patch_may_be_given_by_one_side():
    model = build("xcit_nano_12_p16_224", head="tokens", image_size=32).eval()
    assert model.config.head == "tokens"
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, model.bits)


@pytest.mark.parametrize("head", ["tokens", "cls"])
def test_a_cnn_has_no_tokens(head):
    with pytest.raises(ValueError, match=f"head: resnet18 is no Vision Transformer; expected 'pooled', got '{head}'"):
        build("resnet18", head=head)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("alexnet", 62, "image_size: expected at least 63 for alexnet, got 62"),
        ("levit_128s", 64, "image_size: expected one that levit_128s can take, got 64"),
        (
            "swin_tiny_patch4_window7_224",
            1,
            "image_size: expected one that swin_tiny_patch4_window7_224 can take, got 1",
        ),
        ("xcit_nano_12_p16_224", 65, "backbone: xcit_nano_12_p16_224 cannot be built .*should divide image dimensions"),
        ("deit_tiny_distilled_patch16_224", 224, "backbone: deit_tiny_distilled_patch16_224 cannot be built"),
    ],
)
def test_sizes_that_a_network_cannot_take_are_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        build(name, image_size=size)


def test_a_cnn_works_on_channels_last_and_gives_the_same_features():
    model = build("resnet18").eval()
    assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    plain = timm.create_model("resnet18", num_classes=0).eval()
    plain.load_state_dict(model.backbone.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(model(images), model.head(plain(images)), rtol=1e-4, atol=1e-5)


def test_the_fingerprint_is_that_of_the_network_and_not_of_its_name():
    short, full = build("resnet50"), build("resnet50.tv_in1k")
    assert short.fingerprint() == full.fingerprint()
    with torch.no_grad():
        short.backbone.bn1.running_mean[0] += 1
    assert short.fingerprint() != full.fingerprint()


@pytest.mark.slow
def test_alexnet_comes_back_from_its_folder(tmp_path):
    model = build("alexnet", bits=8).eval()
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(again(images), model(images))
    assert (again.config, again.fingerprint()) == (model.config, model.fingerprint())


def test_torchvisions_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch, tmp_path):
    def refuse(*_args, **_kwargs):
        raise URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(VtsearchError, match=r"cannot fetch the weights of alexnet.tv_in1k \(URLError\); give a file"):
        create_backbone("alexnet", image_size=None, pretrained=True, dropout=0)


@pytest.mark.parametrize(
    ("name", "has_it"),
    [("vts16", True), ("resnet50", True), ("convnext_atto", True), ("alexnet", False), ("vgg11", False)],
)
def test_networks_whose_blocks_training_can_leave_out(name, has_it):
    assert has_stochastic_depth(name) == has_it
