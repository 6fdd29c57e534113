"""More epochs for a run that has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError
from vtsearch.training import run_folder as files
from vtsearch.training.result import read_result

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.training.config import TrainConfig


def check_extension(folder: Path, config: TrainConfig) -> None:
    """Refuse more epochs for a run whose steps so far would have been others with them.

    Raises:
        VtsearchError: an unfinished run with a schedule that depends on the number of epochs; one that has stopped
            early.
    """
    if files.is_free(folder):
        return
    epochs, result = files.read_config(folder).get("epochs"), read_result(folder)
    is_finished = result is not None and result.epochs == epochs
    if epochs == config.epochs:
        return
    if result is not None and result.stopped:
        raise VtsearchError(
            f"epochs: the run in {folder} has stopped after {result.epochs} of {epochs} ({result.stopped}) and is "
            f"finished; got {config.epochs}"
        )
    if depends_on_epochs(config):
        require_finished(folder, config, epochs, is_finished=is_finished)


def require_finished(folder: Path, config: TrainConfig, epochs: object, *, is_finished: bool) -> None:
    """Refuse more epochs for a run that has not reached its own, if these decide its learning rate.

    Raises:
        VtsearchError: such a run.
    """
    if depends_on_epochs(config) and not is_finished:
        raise VtsearchError(
            f"epochs: the run in {folder} has {epochs} and is not finished, and its learning rate "
            f"({config.schedule.name}) depends on their number: finish it with --resume, then continue it with "
            f"{config.epochs}"
        )


def require_last(folder: Path, config: TrainConfig) -> None:
    """Refuse more epochs for a finished run without its last checkpoint.

    Raises:
        VtsearchError: the folder has none.
    """
    if not (folder / files.LAST).is_dir():
        raise VtsearchError(
            f"epochs: the run in {folder} has no {files.LAST}/ any more, from which it could be continued to "
            f"{config.epochs}"
        )


def depends_on_epochs(config: TrainConfig) -> bool:
    """Whether the learning rate of a step depends on the number of epochs."""
    return config.schedule.name != "constant"


def restart_line(config: TrainConfig) -> str:
    """What becomes of the learning rate, for a message."""
    return f"; a new {config.schedule.name} over the added ones" if depends_on_epochs(config) else ""
