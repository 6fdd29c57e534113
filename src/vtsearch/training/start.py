"""Runs that begin with a trained model: ``TrainConfig.start_from``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError
from vtsearch.exchange.hub import locate_model
from vtsearch.models import load_model
from vtsearch.models.fine_tuning import take_weights
from vtsearch.models.folder import read_facts
from vtsearch.training import run_folder as files

if TYPE_CHECKING:
    from vtsearch.models import HashModel, ModelConfig
    from vtsearch.training.config import TrainConfig

TAKEN = ("backbone", "preprocessing")
"""Fields of a model that it has from the one that it begins with."""
DIGITS = 12
"""Of a fingerprint in messages."""


def model_to_train(start_from: str) -> ModelConfig:
    """The configuration of a trained model, for a run that begins with it.

    Args:
        start_from: a model folder, a run folder (its best/), or ``user/name`` or ``user/name@revision`` of the hub.

    Raises:
        FileNotFoundError: neither a folder nor a repository.
        VtsearchError: not a model, or a damaged one.
    """
    return replace(_facts(start_from)[0], weights=None, pretrained=False)


def find_start(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """Address and fingerprint of the model that a run begins with, as fields of its configuration; {} for none.

    The run in the folder, if there is one, says both, so that it resumes without that model.

    Raises:
        ValueError: a backbone or preprocessing that is not the model's.
        FileNotFoundError: neither a folder nor a repository.
        VtsearchError: not a model, or not the one with the configuration's fingerprint.
    """
    if config.start_from is None:
        return {}
    if files.is_claimed(folder):
        saved = {name: str(files.read_config(folder).get(name)) for name in ("start_from", "start_fingerprint")}
        is_same = _is_same(config.start_from, saved["start_from"])
        return saved if is_same and config.start_fingerprint in (None, saved["start_fingerprint"]) else {}
    model, fingerprint = _facts(config.start_from)
    for name in TAKEN:
        wanted, got = getattr(model, name), getattr(config.model, name)
        if got != wanted:
            raise ValueError(f"{name}: expected {wanted!r}, that of start_from {config.start_from}, got {got!r}")
    _check_fingerprint(config, fingerprint)
    return {"start_from": _address(config.start_from), "start_fingerprint": fingerprint}


def start(model: HashModel, config: TrainConfig) -> str:
    """Fill a model with the weights of the one that its run begins with; returns a line about what was taken.

    Raises:
        FileNotFoundError: neither a folder nor a repository.
        VtsearchError: not a model, or not the one with the configuration's fingerprint.
    """
    assert config.start_from is not None
    trained = load_model(_model_of(config.start_from))
    fingerprint = trained.fingerprint()
    _check_fingerprint(config, fingerprint)
    difference = take_weights(model, trained)
    taken = f"backbone; the head starts anew: {difference}" if difference else "backbone and head"
    return f"start_from: {config.start_from} ({fingerprint[:DIGITS]}): {taken}"


def _facts(start_from: str) -> tuple[ModelConfig, str]:
    """Configuration and fingerprint of the model."""
    try:
        return read_facts(_model_of(start_from))
    except (FileNotFoundError, VtsearchError) as reason:
        raise type(reason)(f"start_from: {reason}") from reason


def _check_fingerprint(config: TrainConfig, fingerprint: str) -> None:
    if config.start_fingerprint not in (None, fingerprint):
        raise VtsearchError(
            f"start_from: {config.start_from}: expected the model with the fingerprint {config.start_fingerprint}, "
            f"got one with {fingerprint}"
        )


def _model_of(start_from: str) -> str | Path:
    """The model folder that is meant by it: of a run, best/."""
    is_run = (Path(start_from) / files.CONFIG).is_file()
    return Path(start_from) / files.BEST if is_run else start_from


def _address(start_from: str) -> str:
    """By what the model is found from any folder: an absolute path, or ``user/name@commit``."""
    if Path(start_from).is_dir():
        return os.path.abspath(start_from)  # noqa: PTH100 (a link's own name is kept)
    return locate_model(start_from).address


def _is_same(given: str, address: str) -> bool:
    """Whether a text names the model of an address of ``_address``; of a repository, any revision."""
    if os.path.isabs(address):  # noqa: PTH117 (a text that may be no path)
        return os.path.abspath(given) == address  # noqa: PTH100 (as _address)
    return given.partition("@")[0] == address.partition("@")[0]
