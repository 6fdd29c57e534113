"""Backbone weights from a local file; reading one executes nothing in it."""

from __future__ import annotations

import inspect
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import timm.models
import torch

from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".npz")
CLASSIFIER = ("head.", "head_dist.", "pre_logits.", "fc_norm.", "fc.")  # of no use without its classes


def load_backbone_weights(backbone: nn.Module, path: str | Path) -> None:
    """Fill a backbone from a file in timm's or torchvision's names, or from an original ``.npz`` of Google's.

    Half-precision files become float32; position embeddings are resampled to the backbone's image size.

    Args:
        backbone: without classifier.
        path: ``.safetensors``, ``.pth`` (also ``.pt``, ``.bin``; read with ``weights_only``) or ``.npz``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another suffix.
        VtsearchError: a damaged file, or weights of another architecture.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"weights: expected a file ending in {', '.join(SUFFIXES)}, got {path}")
    if not path.is_file():
        raise FileNotFoundError(f"weights: no such file: {path}")
    try:
        if path.suffix == ".npz":
            _load_npz(backbone, path)
        else:
            _load_state(backbone, path)
    except (OSError, EOFError, KeyError, ValueError, AttributeError, TypeError, AssertionError, IndexError) as reason:
        raise VtsearchError(f"{path}: not weights of {_name(backbone)} ({_first_line(reason)})") from reason
    except (RuntimeError, safetensors.SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile) as reason:
        raise VtsearchError(f"{path}: not weights of {_name(backbone)} ({_first_line(reason)})") from reason


def _load_npz(backbone: Any, path: Path) -> None:
    backbone.load_pretrained(str(path))


def _load_state(backbone: nn.Module, path: Path) -> None:
    state: dict[str, Tensor] = timm.models.load_state_dict(str(path), device="cpu", weights_only=True)
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    state = adapted(state, backbone)
    wanted, classifier = backbone.state_dict(), (*CLASSIFIER, *_classifier(backbone))
    state = {name: tensor for name, tensor in state.items() if name in wanted or not name.startswith(classifier)}
    backbone.load_state_dict(state, strict=True)


def adapted(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Weights by name, with timm's own conversion of names, and of position embeddings to the image size."""
    adapt = getattr(inspect.getmodule(type(backbone)), "checkpoint_filter_fn", None)
    return state if adapt is None else adapt(state, backbone)


def _classifier(backbone: Any) -> list[str]:
    """Beginnings of the names of the last layer's parameters, which is gone from the backbone."""
    names = backbone.default_cfg.get("classifier") or ()
    return [f"{name}." for name in ([names] if isinstance(names, str) else names)]


def _name(backbone: Any) -> str:
    return str(backbone.default_cfg.get("architecture", type(backbone).__name__))


def _first_line(reason: BaseException) -> str:
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(reason).__name__


def state_bytes(tensor: Tensor) -> bytes:
    """The raw bytes of a tensor, for hashing."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
