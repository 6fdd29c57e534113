"""Checkpoints: folders that are replaced as a whole; a kill or a full disk leaves the old one or the new one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from vtsearch._atomic_io import swap_folder
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STATE_FILE = "state.pt"


@dataclass
class TrainState:
    """Where a run is and what it has found so far: the part of a checkpoint that is no tensor."""

    epoch: int = 0
    """Epochs that are done with."""
    batch: int = 0
    """Batches of the current epoch that are done; all of them, while the end of the epoch is being worked on."""
    step: int = 0
    """Batches since the beginning of the run."""
    loss_sum: float = 0.0
    """Of this epoch's batches."""
    seconds: float = 0.0
    """Spent training, evaluation not included."""
    best: float = -1.0
    best_epoch: int = 0
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Put a new folder in the place of `folder`, all at once.

    The new one is written beside it, flushed to the disk and renamed; a folder cannot be renamed over another, so the
    old one steps aside as `NAME.old` for that instant: read through `current_folder`.

    Args:
        folder: the place; its parent exists.
        write: fills the empty folder that it is given.

    Raises:
        OSError: the disk is full or refuses; the folder that was there is intact.
    """
    fresh, old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    for leftover in (fresh, *folder.parent.glob(f".{fresh.name}.*")):  # of a writer that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        fresh.mkdir()
        write(fresh)
        swap_folder(fresh, folder, old)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        reason = _disk_error(error)
        if reason is None:
            raise
        kept = "the previous one is intact" if current_folder(folder) else "there is no previous one"
        raise OSError(
            reason.errno, f"could not write {folder}: {reason.strerror or reason}; {kept}; free space, then --resume"
        ) from error


def current_folder(folder: Path) -> Path | None:
    """Where the last complete version of a replaced folder is, if there is any."""
    old = folder.with_name(f"{folder.name}.old")
    return folder if folder.exists() else old if old.exists() else None


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace `folder` by one that holds `state`: tensors, numbers, strings and containers of them.

    Raises:
        OSError: the disk is full or refuses; the previous state is intact.
    """

    def write(fresh: Path) -> None:
        with (fresh / STATE_FILE).open("wb") as file:
            torch.save(state, file)

    replace_folder(folder, write)


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last state that `save_state` completed, on the CPU, or None if there is none yet.

    Raises:
        VtsearchError: the file was changed or cut after it had been written.
    """
    place = current_folder(folder)
    if place is None:
        return None
    try:
        state: dict[str, Any] = torch.load(place / STATE_FILE, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError) as error:
        raise VtsearchError(f"{place / STATE_FILE}: not a readable checkpoint: {error}") from error
    return state


def _disk_error(error: BaseException) -> OSError | None:
    """The refusal of the disk inside an error of torch or safetensors, which wrap it in their own kinds."""
    if isinstance(error, OSError):
        return error
    if isinstance(error, SafetensorError):
        return OSError(str(error))
    return error.__context__ if isinstance(error.__context__, OSError) else None
