"""A model as a folder: ``model.safetensors`` and ``config.json``, all that encoding needs; loading executes nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
from safetensors.torch import load_file, save_file

from vtsearch._atomic_io import recover_folder, replaced_folder
from vtsearch.errors import VtsearchError
from vtsearch.models.hash_model import ModelConfig, build_model, config_fields
from vtsearch.tensors.preprocessing import Preprocessing

if TYPE_CHECKING:
    from vtsearch.models.hash_model import HashModel

FORMAT = "vtsearch-model"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def save_model(model: HashModel, folder: str | Path) -> None:
    """Write a model folder, or replace one; it appears whole or not at all.

    Raises:
        ValueError: the folder exists and holds something else than a model.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / CONFIG).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"folder: expected a new or empty folder or a model to replace, got {folder}")
    content = {
        "format": FORMAT,
        "version": 1,
        "fingerprint": model.fingerprint(),
        "config": config_fields(model.config),
        "preprocessing": model.preprocessing.to_dict(),
    }
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replaced_folder(folder) as fresh:
        (fresh / CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        save_file(state, fresh / WEIGHTS, metadata={"format": "pt"})
        shutil.copymode(fresh / CONFIG, fresh / WEIGHTS)  # safetensors gives 0600, other files follow the umask


def load_model(folder: str | Path) -> HashModel:
    """The model in a folder, on the CPU and in evaluation mode.

    Raises:
        FileNotFoundError: no such folder.
        VtsearchError: not a model folder, a damaged one, or weights that are not those it was written with.
    """
    folder = Path(folder)
    recover_folder(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a model folder ({CONFIG} and {WEIGHTS})")
    content = _read_config(folder)
    try:
        config = replace(ModelConfig(**content["config"]), weights=None, pretrained=False)
        model = build_model(config, Preprocessing.from_dict(content["preprocessing"]))
        model.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError as reason:
        raise VtsearchError(f"{folder}: not a model folder (no {WEIGHTS})") from reason
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, safetensors.SafetensorError) as reason:
        raise VtsearchError(f"{folder}: damaged model folder ({str(reason).splitlines()[0]})") from reason
    model.config = replace(model.config, **{name: content["config"][name] for name in ("weights", "pretrained")})
    if model.fingerprint() != content.get("fingerprint"):
        raise VtsearchError(f"{folder}: {WEIGHTS} is not what {CONFIG} was written with (fingerprints differ)")
    return model.eval()


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise VtsearchError(f"{folder}: not a model folder (no {CONFIG})")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as reason:
        raise VtsearchError(f"{path}: not JSON ({reason})") from reason
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != 1:
        raise VtsearchError(f"{path}: expected format {FORMAT!r}, version 1")
    return content
