"""A model as a folder: ``model.safetensors`` and ``config.json``, all that encoding needs; loading executes nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
from safetensors.torch import load_file, save_file

from vtsearch._atomic_io import replaced_folder
from vtsearch.errors import VtsearchError
from vtsearch.exchange.hub import CONFIG, FORMAT, WEIGHTS, check_config, locate_model
from vtsearch.models.config import ModelConfig
from vtsearch.models.fitted import Fitted
from vtsearch.models.hash_model import build_model, outline
from vtsearch.tensors.preprocessing import Preprocessing

if TYPE_CHECKING:
    from vtsearch.models.hash_model import HashModel


def save_model(model: HashModel, folder: str | Path) -> None:
    """Write a model folder, or replace one; it appears whole or not at all.

    Raises:
        ValueError: the folder exists and holds something else than a model.
    """
    folder = Path(folder)
    check_replaceable(folder)
    with replaced_folder(folder) as fresh:
        write_model(model, fresh)


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that ``save_model`` would not write.

    Raises:
        ValueError: it exists and holds something else than a model.
    """
    if folder.exists() and not (folder / CONFIG).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"folder: expected a new or empty folder or a model to replace, got {folder}")


def write_model(model: HashModel, folder: Path) -> None:
    """Write the files of a model into an empty folder, one after another; ``save_model`` does it in one step."""
    content = {
        "format": FORMAT,
        "version": 1,
        "fingerprint": model.fingerprint(),
        "config": asdict(model.config),
        "preprocessing": model.preprocessing.to_dict(),
    } | ({} if model.fitted is None else {"fitted": asdict(model.fitted)})
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    (folder / CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    shutil.copymode(folder / CONFIG, folder / WEIGHTS)  # safetensors gives 0600, other files follow the umask


def load_model(folder: str | Path) -> HashModel:
    """The model in a folder, on the CPU and in evaluation mode.

    Args:
        folder: of the model; or, as text, ``user/name`` or ``user/name@revision`` of the Hugging Face hub, where there
            is no folder of that name.

    Raises:
        FileNotFoundError: neither a folder nor a repository.
        VtsearchError: not a model folder, a damaged one, or weights that are not those it was written with; a hub that
            does not answer or refuses.
    """
    where, folder = str(folder), locate_model(folder).folder
    content: Any = _read_config(folder, where)
    try:
        config = replace(ModelConfig(**content["config"]), weights=None, pretrained=False)
        _compare_shapes(config, folder / WEIGHTS)
        model = build_model(config, Preprocessing.from_dict(content["preprocessing"]))
        model.fitted = Fitted(**content["fitted"]) if "fitted" in content else None
        model.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError as reason:
        raise VtsearchError(f"{where}: not a model folder (no {WEIGHTS})") from reason
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
        OSError,
        safetensors.SafetensorError,
    ) as reason:
        raise VtsearchError(f"{where}: damaged model folder ({str(reason).splitlines()[0]})") from reason
    model.config = replace(model.config, **{name: content["config"][name] for name in ("weights", "pretrained")})
    if model.fingerprint() != content.get("fingerprint"):
        raise VtsearchError(f"{where}: {WEIGHTS} is not what {CONFIG} was written with (fingerprints differ)")
    return model.eval()


def read_facts(folder: str | Path) -> tuple[ModelConfig, str]:
    """Configuration and fingerprint of the model in a folder or of the hub, without its weights.

    Args:
        folder: as of ``load_model``.

    Raises:
        FileNotFoundError: neither a folder nor a repository.
        VtsearchError: not a model folder, or a damaged one.
    """
    content: Any = _read_config(locate_model(folder).folder, str(folder))
    try:
        return ModelConfig(**content["config"]), str(content["fingerprint"])
    except (LookupError, TypeError, ValueError) as reason:
        raise VtsearchError(f"{folder}: damaged model folder ({str(reason).splitlines()[0]})") from reason


def _compare_shapes(config: ModelConfig, weights: Path) -> None:
    """Refuse a configuration of other tensors than the file's before memory is allocated for them.

    Raises:
        ValueError: names the first tensor that differs.
        SafetensorError: a damaged file.
    """
    with safetensors.safe_open(weights, framework="pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no iterator)
    expected = {name: tuple(tensor.shape) for name, tensor in outline(config).state_dict().items()}
    for name in sorted(expected | found, key=lambda name: (name not in expected, name)):
        if expected.get(name) != found.get(name):
            raise ValueError(f"{name}: expected shape {expected.get(name)}, got {found.get(name)}")


def _read_config(folder: Path, where: str) -> dict[str, object]:
    path = folder / CONFIG
    if not path.is_file():
        raise VtsearchError(f"{where}: not a model folder (no {CONFIG})")
    return check_config(path, f"{where}/{CONFIG}")
