from __future__ import annotations

import pickle

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from vtsearch.errors import VtsearchError
from vtsearch.models.backbones import create_backbone
from vtsearch.models.weights import load_backbone_weights

NAME = "vit_tiny_patch16_224"


def backbone(size=32):
    return create_backbone(NAME, image_size=size, pretrained=False, dropout=0)


@pytest.fixture(scope="module")
def state():
    """A checkpoint with a classifier, at 224 pixels."""
    torch.manual_seed(0)
    return timm.create_model(NAME, num_classes=7).state_dict()


def google_layout(width=192, blocks=12, heads=3, patch=16, size=32):
    """Random numbers under the names and in the shapes of the original JAX checkpoints."""
    random = np.random.default_rng(0)

    def draw(*shape):
        return random.normal(size=shape).astype(np.float32)

    weights = {
        "embedding/kernel": draw(patch, patch, 3, width),
        "embedding/bias": draw(width),
        "cls": draw(1, 1, width),
        "Transformer/posembed_input/pos_embedding": draw(1, (size // patch) ** 2 + 1, width),
        "Transformer/encoder_norm/scale": draw(width),
        "Transformer/encoder_norm/bias": draw(width),
    }
    for number in range(blocks):
        block = f"Transformer/encoderblock_{number}/"
        attention = block + "MultiHeadDotProductAttention_1/"
        for norm in ("LayerNorm_0/", "LayerNorm_2/"):
            weights |= {block + norm + "scale": draw(width), block + norm + "bias": draw(width)}
        for part in ("query", "key", "value"):
            weights[f"{attention}{part}/kernel"] = draw(width, heads, width // heads)
            weights[f"{attention}{part}/bias"] = draw(heads, width // heads)
        weights |= {attention + "out/kernel": draw(heads, width // heads, width), attention + "out/bias": draw(width)}
        for layer, (inputs, outputs) in {"Dense_0": (width, 4 * width), "Dense_1": (4 * width, width)}.items():
            weights[f"{block}MlpBlock_3/{layer}/kernel"] = draw(inputs, outputs)
            weights[f"{block}MlpBlock_3/{layer}/bias"] = draw(outputs)
    return weights


def test_half_precision_safetensors_become_float32(state, tmp_path):
    save_file({name: tensor.half() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    model = backbone()
    load_backbone_weights(model, tmp_path / "w.safetensors")
    loaded = model.state_dict()["blocks.3.mlp.fc1.weight"]
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, state["blocks.3.mlp.fc1.weight"].half().float())


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin"])
def test_torch_files_are_read_bare_or_wrapped(state, tmp_path, suffix):
    for content in (state, {"model": state}, {"state_dict": {f"module.{name}": state[name] for name in state}}):
        torch.save(content, tmp_path / f"w.{suffix}")
        model = backbone()
        load_backbone_weights(model, tmp_path / f"w.{suffix}")
        assert torch.equal(model.state_dict()["blocks.3.mlp.fc1.weight"], state["blocks.3.mlp.fc1.weight"])


def test_position_embeddings_are_resampled_to_the_image_size(state, tmp_path):
    save_file(state, tmp_path / "w.safetensors")
    same, smaller = backbone(224), backbone(96)
    for model in (same, smaller):
        load_backbone_weights(model, tmp_path / "w.safetensors")
    assert torch.equal(same.pos_embed, state["pos_embed"])
    assert smaller.pos_embed.shape == (1, 37, 192)
    assert torch.allclose(smaller.pos_embed[:, 0], state["pos_embed"][:, 0])


def test_original_npz_files_are_read(tmp_path):
    weights = google_layout()
    np.savez(tmp_path / "w.npz", **weights)
    model = backbone()
    load_backbone_weights(model, tmp_path / "w.npz")
    loaded = model.state_dict()
    np.testing.assert_array_equal(loaded["patch_embed.proj.weight"], weights["embedding/kernel"].transpose(3, 2, 0, 1))
    query = weights["Transformer/encoderblock_2/MultiHeadDotProductAttention_1/query/kernel"].reshape(192, 192).T
    np.testing.assert_array_equal(loaded["blocks.2.attn.qkv.weight"][:192], query)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"weights: no such file: .*none\.pth"):
        load_backbone_weights(backbone(), tmp_path / "none.pth")


def test_another_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"weights: expected a file ending in .safetensors, .*, got .*w\.onnx"):
        load_backbone_weights(backbone(), tmp_path / "w.onnx")


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "npz"])
def test_a_damaged_file_is_named(tmp_path, suffix):
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(b"these are no weights at all, whatever the name says")
    with pytest.raises(VtsearchError, match=rf"w\.{suffix}: not weights of vit_tiny_patch16_224 \("):
        load_backbone_weights(backbone(), path)


def test_weights_of_another_architecture_are_refused(state, tmp_path):
    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(VtsearchError, match="not weights of vit_tiny_patch16_224"):
        load_backbone_weights(backbone(), tmp_path / "w.safetensors")
    missing = {name: tensor for name, tensor in state.items() if name != "norm.weight"}
    save_file(missing, tmp_path / "w.safetensors")
    with pytest.raises(VtsearchError, match=r'Missing key\(s\) in state_dict: "norm.weight"'):
        load_backbone_weights(backbone(), tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", other=np.zeros(3))
    with pytest.raises(VtsearchError, match="not weights of vit_tiny_patch16_224"):
        load_backbone_weights(backbone(), tmp_path / "w.npz")


class Payload:
    """Pickles to a call that would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("writer", ["torch", "pickle", "numpy"])
def test_nothing_in_a_file_is_executed(tmp_path, writer):
    proof = tmp_path / "executed"
    path = tmp_path / ("w.npz" if writer == "numpy" else "w.pth")
    if writer == "torch":
        torch.save({"norm.weight": Payload(proof)}, path)
    elif writer == "pickle":
        path.write_bytes(pickle.dumps(Payload(proof), protocol=2))
    else:
        np.savez(path, **{"embedding/kernel": np.array([Payload(proof)], dtype=object)})
    proof.unlink(missing_ok=True)
    with pytest.raises(VtsearchError, match="not weights of"):
        load_backbone_weights(backbone(), path)
    assert not proof.exists()
