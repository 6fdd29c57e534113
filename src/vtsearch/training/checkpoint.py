"""Checkpoints: folders replaced atomically; after a kill or on a full disk the old or the new one is intact."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from vtsearch._atomic_io import recover_folder, replaced_folder
from vtsearch.errors import VtsearchError, first_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STATE_FILE = "state.pt"
CHECKSUM_FILE = "state.sha256"


@dataclass
class TrainState:
    """Progress and scores of a run so far: the part of a checkpoint without tensors."""

    epoch: int = 0
    """Finished epochs."""
    batch: int = 0
    """Finished batches of the current epoch; all of them during the evaluation at its end."""
    step: int = 0
    """Finished optimizer steps of the run."""
    loss_sum: float = 0.0
    """Sum of the losses of the current epoch's batches."""
    seconds: float = 0.0
    """Training time, evaluation excluded."""
    best: float = -1.0
    best_epoch: int = 0
    stale: int = 0
    """Evaluations since the best one."""
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    schedule_start: int = 0
    """Finished steps when the learning rate schedule began: at the start, or when the run was given more epochs."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            kinds = {"int": int, "float": int | float}.get(str(each.type), dict)
            if not isinstance(value, kinds) or (isinstance(value, int | float) and not -1.0 <= value < math.inf):
                raise TypeError(f"{each.name}: expected {each.type}, got {value!r}")


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Replace a folder atomically: the new folder is written beside the old one, synced to disk and exchanged with it.

    Args:
        folder: to replace or create; its parent exists.
        write: writes the content to an empty folder.

    Raises:
        OSError: the disk is full or refuses; the old folder is intact.
    """
    try:
        with replaced_folder(folder) as fresh:
            write(fresh)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = _disk_error(error)
        if reason is None or isinstance(reason, BlockingIOError):
            raise
        recover_folder(folder)
        kept = "the previous one is intact" if folder.exists() else "there is no previous one"
        raise OSError(
            reason.errno, f"could not write {folder}: {reason.strerror or reason}; {kept}; free space, then --resume"
        ) from error


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Save tensors, numbers, strings and containers of them to `folder`, atomically, with a checksum.

    Raises:
        OSError: the disk is full or refuses; the previous state is intact.
    """

    def write(fresh: Path) -> None:
        with (fresh / STATE_FILE).open("wb") as file:
            torch.save(state, file)
        (fresh / CHECKSUM_FILE).write_text(f"{_checksum(fresh / STATE_FILE)}  {STATE_FILE}\n", encoding="ascii")

    replace_folder(folder, write)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Load the last complete state of `save_state` to the CPU, or None if there is none yet.

    Raises:
        VtsearchError: the file was modified or truncated, is not a checkpoint or cannot be read.
    """
    recover_folder(folder)
    if not folder.exists():
        return None
    path = folder / STATE_FILE
    try:
        expected = (folder / CHECKSUM_FILE).read_text(encoding="ascii", errors="replace")[:64]
        is_intact = _checksum(path) == expected
        state: Any = torch.load(path, map_location="cpu", weights_only=True) if is_intact else None
    except Exception as error:  # torch's unpickler raises anything on foreign files
        raise VtsearchError(f"{path}: not a readable checkpoint: {first_line(error)}") from error
    if not is_intact:
        raise VtsearchError(f"{path}: changed since it was written: its checksum is not that of {CHECKSUM_FILE}")
    if not isinstance(state, dict):
        raise VtsearchError(f"{path}: not a checkpoint: expected names and values, got {type(state).__name__}")
    return state


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _disk_error(error: BaseException) -> OSError | None:
    """The OSError inside an error of torch or safetensors, which wrap it in their own classes."""
    if isinstance(error, OSError):
        return error
    if isinstance(error, SafetensorError):
        return OSError(str(error))
    return error.__context__ if isinstance(error.__context__, OSError) else None
