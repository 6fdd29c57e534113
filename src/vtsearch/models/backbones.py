"""Backbones by name: the literature's short names, and every model of timm at any image size.

A Vision Transformer gives all its tokens, (b, tokens, width); every other network its pooled features, (b, width).

Source: Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

import huggingface_hub
import numpy as np
import timm
import torch
from timm.data.config import resolve_data_config
from timm.layers.drop import DropPath

from vtsearch.errors import VtsearchError, first_line, suggestion
from vtsearch.models.alexnet import SMALLEST_IMAGE, AlexNet
from vtsearch.models.meta_device import meta_device
from vtsearch.tensors.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

HUB_FILE = "model.safetensors"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

SHORT_NAMES = {
    "vts16": "vit_base_patch16_224.orig_in21k",
    "vts32": "vit_base_patch32_224.orig_in21k",
    "vit_l16": "vit_large_patch16_224.orig_in21k",
    "vit_l32": "vit_large_patch32_224.orig_in21k",
    "resnet50": "resnet50.tv_in1k",  # torchvision's weights, as published; timm's own choice for the name is another
    "alexnet": "alexnet.tv_in1k",  # torchvision's: timm has none
}
"""What the publications' backbones are called here, and their architecture and weights.

"orig_in21k" are Google's weights of 2020. timm's old aliases that end in "_in21k" mean the later "augreg_in21k".
"""


def full_name(name: str) -> str:
    """Architecture and, after a dot, tag of weights; a short name stands for both."""
    return SHORT_NAMES.get(name, name)


def architecture(name: str) -> str:
    """The architecture of a name, without the tag of its weights."""
    return full_name(name).partition(".")[0]


def is_known(name: str) -> bool:
    """Whether it is a short name or, with or without a tag, the name of a timm model."""
    return name in SHORT_NAMES or bool(timm.is_model(name.partition(".")[0]))


def create_backbone(
    name: str, *, image_size: int | None, pretrained: bool, dropout: float, drop_path: float = 0.0
) -> nn.Module:
    """A network without its classifier: images -> all tokens after the final norm, or pooled features.

    Args:
        name: a short name, or timm's with or without a tag of weights: ``vit_base_patch16_224.orig_in21k``.
        image_size: side of the input; None is the one of the name's weights. Position embeddings are resampled.
        pretrained: fetch the weights for the name.
        dropout: after the position embeddings and in the MLPs of a Vision Transformer, as in the published training
            (0.1); other networks have neither.
        drop_path: share of images for which training leaves out the last block.

    Raises:
        ValueError: a name that timm does not know; an image size that is no multiple of the patch, or too small;
            weights that timm does not have.
        VtsearchError: the weights cannot be fetched.
    """
    name = full_name(name)
    if architecture(name) == "alexnet":
        return _alexnet(name, image_size, pretrained)
    _check_name(name, pretrained)
    arguments = _arguments(name, image_size, dropout, drop_path)
    backbone: Any = _create(name, **arguments)
    _check_size(backbone, name, image_size)
    if pretrained:
        backbone = _fetch(name, arguments)
    for block in backbone.blocks if dropout and gives_tokens(backbone) else ():
        block.attn.proj_drop.p = 0.0  # the published training has none on the attention's projection
    created: nn.Module = backbone
    return created


def gives_tokens(backbone: Any) -> bool:
    """Whether it is a Vision Transformer of timm's plan, which gives all its tokens; others give pooled features."""
    has_parts = all(hasattr(backbone, name) for name in ("num_prefix_tokens", "blocks", "patch_embed"))
    return has_parts and isinstance(getattr(backbone.patch_embed, "img_size", None), tuple)


@cache
def on_meta_device(name: str) -> nn.Module:
    """The backbone of that name without memory: what it is made of, and what it gives.

    Raises:
        ValueError: a name that timm does not know.
    """
    with meta_device():
        if architecture(name) == "alexnet":
            return _alexnet(full_name(name), None, pretrained=False)
        _check_name(full_name(name), pretrained=False)
        network: nn.Module = _create(architecture(name), num_classes=0)
        return network


@cache
def has_stochastic_depth(name: str) -> bool:
    """Whether training can leave out blocks of the backbone of that name.

    Raises:
        ValueError: a name that timm does not know.
    """
    if architecture(name) == "alexnet":
        return False
    _check_name(full_name(name), pretrained=False)
    try:
        with meta_device():
            network = _create(architecture(name), num_classes=0, drop_path_rate=0.1)
    except ValueError:  # the architecture has no such argument
        return False
    return any(isinstance(module, DropPath) for module in network.modules())


def has_class_token(backbone: Any) -> bool:
    """Whether the first of its tokens is a class token."""
    return gives_tokens(backbone) and getattr(backbone, "cls_token", None) is not None


def registers_of(backbone: Any) -> slice:
    """Where its registers stand among its tokens: after the class token, before the patches; nowhere in most.

    Source: Darcet et al., Vision Transformers Need Registers, ICLR 2024, https://arxiv.org/abs/2309.16588.
    """
    if not gives_tokens(backbone):
        return slice(0, 0)
    return slice(int(has_class_token(backbone)), int(backbone.num_prefix_tokens))


def suit_attention(backbone: nn.Module, device: torch.device) -> None:
    """Compute attention in one fused step, but on a CPU in separate ones.

    torch's fused kernel for CPUs takes 7 times as long in bfloat16, forward and backward, at 96 pixels (37 tokens), 4
    times at 160 and twice at 224.
    """
    for module in backbone.modules():
        if hasattr(module, "fused_attn"):
            setattr(module, "fused_attn", device.type != "cpu")  # noqa: B010 (timm's attribute is not in torch's types)


def feature_width(backbone: Any) -> int:
    """Width of a token or of the pooled features."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)


def attention_heads(backbone: Any) -> int:
    """Heads of the attention in its last block; 64 features of a token for each where the block does not tell."""
    attention = getattr(backbone.blocks[-1], "attn", None)
    return int(getattr(attention, "num_heads", 0) or max(1, feature_width(backbone) // 64))


def input_side(backbone: Any, image_size: int | None) -> int:
    """Side of its input in pixels: as it was built, as asked, or that of its weights."""
    if gives_tokens(backbone):
        return int(backbone.patch_embed.img_size[0])
    data: dict[str, Any] = resolve_data_config(model=backbone)  # type: ignore[no-untyped-call]
    return image_size or int(data["input_size"][-1])


def backbone_preprocessing(backbone: nn.Module, image_size: int) -> Preprocessing:
    """The preprocessing of the backbone's weights, at another image size."""
    data: dict[str, Any] = resolve_data_config(model=backbone)  # type: ignore[no-untyped-call]
    return Preprocessing(
        image_size=image_size,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
        crop_pct=float(data["crop_pct"]),
    )


def published_preprocessing(image_size: int) -> Preprocessing:
    """The preprocessing of the published hashing code: ImageNet's mean and std, bilinear, 224 of 256."""
    return Preprocessing(image_size, IMAGENET_MEAN, IMAGENET_STD, "bilinear", 224 / 256)


def _arguments(name: str, image_size: int | None, dropout: float, drop_path: float) -> dict[str, Any]:
    """Arguments of timm.create_model; a network on the meta device shows which of them it accepts."""
    probe = on_meta_device(name)
    arguments: dict[str, Any] = {"num_classes": 0} | ({"drop_path_rate": drop_path} if drop_path else {})
    if image_size is not None and "img_size" in inspect.signature(type(probe)).parameters:
        arguments["img_size"] = image_size
    if gives_tokens(probe):
        arguments["global_pool"] = ""
        arguments |= {"pos_drop_rate": dropout, "proj_drop_rate": dropout} if dropout else {}
    elif image_size is not None:
        _try_size(name, image_size, arguments)
    return arguments


def _create(name: str, **arguments: Any) -> Any:
    """A network with random weights.

    Raises:
        ValueError: an architecture that cannot be built in this form, such as one with two class tokens.
    """
    try:
        return timm.create_model(name, pretrained=False, **arguments)
    except Exception as reason:  # each architecture has its own assertions
        text = f"backbone: {name} cannot be built without its classifier at this size ({first_line(reason)})"
        raise ValueError(text) from reason


def _try_size(name: str, image_size: int, arguments: dict[str, Any]) -> None:
    """Send an image without memory through the network: some have one input size, and all have a smallest."""
    try:
        with meta_device():
            network = timm.create_model(architecture(name), **arguments).eval()
        with torch.device("meta"), torch.inference_mode():
            network(torch.empty(1, 3, image_size, image_size))
    except Exception as reason:  # each architecture has its own assertions
        text = f"image_size: expected one that {name} can take, got {image_size} ({first_line(reason)})"
        raise ValueError(text) from reason


def _alexnet(name: str, image_size: int | None, pretrained: bool) -> nn.Module:
    if name not in ("alexnet", SHORT_NAMES["alexnet"]):
        raise ValueError(f"backbone: expected alexnet or {SHORT_NAMES['alexnet']}, got {name!r}")
    if image_size is not None and image_size < SMALLEST_IMAGE:
        raise ValueError(f"image_size: expected at least {SMALLEST_IMAGE} for alexnet, got {image_size}")
    try:
        return AlexNet(pretrained=pretrained)
    except Exception as reason:
        raise _not_fetched(name, reason) from reason


def _check_name(name: str, pretrained: bool) -> None:
    network, _, tag = name.partition(".")
    if network.endswith("_in21k"):
        raise ValueError(
            f"backbone: expected weights named by a tag, got the old alias {name!r}, which timm maps to augreg_in21k; "
            f"write {network.removesuffix('_in21k')}.orig_in21k for the published weights, or .augreg_in21k"
        )
    if not timm.is_model(network):
        known = [*SHORT_NAMES, *timm.list_models(), *timm.list_pretrained()]
        hint = suggestion(name, known, most=3)
        raise ValueError(f"backbone: expected the name of a timm model, got {name!r}{hint}")
    tagged = timm.list_pretrained(f"{network}.*")
    if tag and name not in tagged:
        raise ValueError(f"backbone: expected {network} with one of timm's tags ({', '.join(tagged)}), got {name!r}")
    if pretrained and not tagged:
        raise ValueError(f"backbone: timm has no weights for {name!r}; use --weights FILE or --no-pretrained")


def _check_size(backbone: Any, name: str, image_size: int | None) -> None:
    patch = int(np.max(backbone.patch_embed.patch_size)) if gives_tokens(backbone) else 1  # a side, or two equal ones
    if image_size is not None and (image_size < 1 or image_size % patch):
        raise ValueError(f"image_size: expected a multiple of {patch}, the patch of {name}, got {image_size}")


def _fetch(name: str, arguments: dict[str, Any]) -> nn.Module:
    try:
        pretrained = timm.get_pretrained_cfg(name)
        _check_hub(pretrained.hf_hub_id if pretrained else None)
        backbone: nn.Module = timm.create_model(name, pretrained=True, **arguments)
    except Exception as reason:  # the hub's client has no error class of its own for a network that is down
        raise _not_fetched(name, reason) from reason
    return backbone


def _not_fetched(name: str, reason: Exception) -> VtsearchError:
    return VtsearchError(
        f"backbone: cannot fetch the weights of {name} ({type(reason).__name__}); "
        "give a file with --weights FILE, or start from random weights with --no-pretrained"
    )


def _check_hub(repository: str | None) -> None:
    """Fail at once where the hub cannot be reached: its client itself would try again for most of a minute."""
    cached = repository and huggingface_hub.try_to_load_from_cache(repository, HUB_FILE)
    if not repository or isinstance(cached, str):
        return
    try:
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repository, HUB_FILE))
    except huggingface_hub.errors.EntryNotFoundError:
        return  # older repositories have another file name; timm knows which
