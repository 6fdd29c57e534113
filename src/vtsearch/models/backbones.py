"""Vision Transformers from timm by name, at any image size.

Source: Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import huggingface_hub
import timm
from timm.data.config import resolve_data_config

from vtsearch.errors import VtsearchError
from vtsearch.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

HUB_FILE = "model.safetensors"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def create_backbone(name: str, *, image_size: int | None, pretrained: bool, dropout: float) -> nn.Module:
    """A timm Vision Transformer without its classifier: images -> all tokens after the final norm.

    Args:
        name: timm's, with or without a tag of weights: ``vit_base_patch16_224.orig_in21k``.
        image_size: side of the input; None is the one of the name's weights. Position embeddings are resampled.
        pretrained: fetch timm's weights for the name.
        dropout: after the position embeddings and in the MLPs, as in the published training (0.1).

    Raises:
        ValueError: a name that timm does not know, or no Vision Transformer; an image size that is no multiple of the
            patch; weights that timm does not have.
        VtsearchError: the weights cannot be fetched.
    """
    _check_name(name, pretrained)
    size = {} if image_size is None else {"img_size": image_size}
    rates = {"pos_drop_rate": dropout, "proj_drop_rate": dropout} if dropout else {}
    arguments: dict[str, Any] = {"num_classes": 0, "global_pool": "", **size, **rates}
    try:
        backbone: Any = timm.create_model(name, pretrained=False, **arguments)
    except TypeError as reason:
        raise ValueError(f"backbone: expected a Vision Transformer of timm, got {name!r}") from reason
    if not hasattr(backbone, "num_prefix_tokens") or not hasattr(backbone, "blocks"):
        raise ValueError(f"backbone: expected a Vision Transformer of timm, got {name!r}")
    _check_size(backbone, name, image_size)
    if pretrained:
        backbone = _fetch(name, arguments)
    for block in backbone.blocks if dropout else ():
        block.attn.proj_drop.p = 0.0  # the published training has none on the attention's projection
    created: nn.Module = backbone
    return created


def backbone_preprocessing(backbone: nn.Module, image_size: int) -> Preprocessing:
    """What the backbone's weights were trained with, at another image size."""
    data: dict[str, Any] = resolve_data_config(model=backbone)  # type: ignore[no-untyped-call]
    return Preprocessing(
        image_size=image_size,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
        crop_pct=float(data["crop_pct"]),
    )


def published_preprocessing(image_size: int) -> Preprocessing:
    """What the published hashing code does for every backbone: ImageNet's mean and std, bilinear, 224 of 256."""
    return Preprocessing(image_size, IMAGENET_MEAN, IMAGENET_STD, "bilinear", 224 / 256)


def _check_name(name: str, pretrained: bool) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(name, timm.list_models() + timm.list_pretrained(), n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"backbone: expected the name of a timm model, got {name!r}{hint}")
    tagged = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tagged:
        raise ValueError(
            f"backbone: expected {architecture} with one of timm's tags ({', '.join(tagged)}), got {name!r}"
        )
    if pretrained and not tagged:
        raise ValueError(f"backbone: timm has no weights for {name!r}; use --weights FILE or --no-pretrained")


def _check_size(backbone: Any, name: str, image_size: int | None) -> None:
    patch = backbone.patch_embed.patch_size
    if image_size is not None and (image_size < 1 or any(image_size % side for side in patch)):
        raise ValueError(f"image_size: expected a multiple of {max(patch)}, the patch of {name}, got {image_size}")


def _fetch(name: str, arguments: dict[str, Any]) -> nn.Module:
    try:
        pretrained = timm.get_pretrained_cfg(name)
        _check_hub(pretrained.hf_hub_id if pretrained else None)
        backbone: nn.Module = timm.create_model(name, pretrained=True, **arguments)
    except Exception as reason:  # the hub's client has no error class of its own for a network that is down
        raise VtsearchError(
            f"backbone: cannot fetch the weights of {name} ({type(reason).__name__}); "
            "give a file with --weights FILE, or start from random weights with --no-pretrained"
        ) from reason
    return backbone


def _check_hub(repository: str | None) -> None:
    """Fail at once where the hub cannot be reached: its client itself would try again for most of a minute."""
    cached = repository and huggingface_hub.try_to_load_from_cache(repository, HUB_FILE)
    if not repository or isinstance(cached, str):
        return
    try:
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repository, HUB_FILE))
    except huggingface_hub.errors.EntryNotFoundError:
        return  # older repositories have another file name; timm knows which
