"""Checkpoints: folders replaced atomically; after a kill or on a full disk the old or the new one is intact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from vtsearch._atomic_io import recover_folder, replaced_folder
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STATE_FILE = "state.pt"


@dataclass
class TrainState:
    """Progress and scores of a run so far: the part of a checkpoint without tensors."""

    epoch: int = 0
    """Finished epochs."""
    batch: int = 0
    """Finished batches of the current epoch; all of them during the evaluation at its end."""
    step: int = 0
    """Finished batches of the run."""
    loss_sum: float = 0.0
    """Sum of the losses of the current epoch's batches."""
    seconds: float = 0.0
    """Training time, evaluation excluded."""
    best: float = -1.0
    best_epoch: int = 0
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)


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
    """Save tensors, numbers, strings and containers of them to `folder`, atomically.

    Raises:
        OSError: the disk is full or refuses; the previous state is intact.
    """

    def write(fresh: Path) -> None:
        with (fresh / STATE_FILE).open("wb") as file:
            torch.save(state, file)

    replace_folder(folder, write)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Load the last complete state of `save_state` to the CPU, or None if there is none yet.

    Raises:
        VtsearchError: the file was modified or truncated.
    """
    recover_folder(folder)
    if not folder.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError) as error:
        raise VtsearchError(f"{folder / STATE_FILE}: not a readable checkpoint: {error}") from error
    return state


def _disk_error(error: BaseException) -> OSError | None:
    """The OSError inside an error of torch or safetensors, which wrap it in their own classes."""
    if isinstance(error, OSError):
        return error
    if isinstance(error, SafetensorError):
        return OSError(str(error))
    return error.__context__ if isinstance(error.__context__, OSError) else None
