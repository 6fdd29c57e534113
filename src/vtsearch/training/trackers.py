"""Copies of the lines of metrics.jsonl for TensorBoard, Weights & Biases and Trackio, by accelerate's trackers."""

from __future__ import annotations

import json
import os
import secrets
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from accelerate import tracking

from vtsearch._atomic_io import write_file
from vtsearch._json import read_json
from vtsearch.errors import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from accelerate.tracking import GeneralTracker

PROJECT = "vtsearch"
"""Project of the runs; WANDB_PROJECT in the environment names another for wandb."""
IDENTITY = "trackers.json"
"""File of a run folder with the name that a run has at the services, so that a resumed run continues there."""
MOST_BYTES = 2**16


def _tensorboard(folder: Path, first_step: int) -> GeneralTracker:
    # a resumed run writes its steps again: TensorBoard forgets those that it has from there on
    return tracking.TensorBoardTracker("tensorboard", folder, purge_step=first_step)


def _wandb(folder: Path, first_step: int) -> GeneralTracker:  # noqa: ARG001 (the table's signature)
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    return tracking.WandBTracker(
        project, id=_identity(folder), name=folder.absolute().name, dir=str(folder), resume="allow"
    )


def _trackio(folder: Path, first_step: int) -> GeneralTracker:  # noqa: ARG001 (the table's signature)
    return tracking.TrackioTracker(PROJECT, name=f"{folder.absolute().name}-{_identity(folder)}", resume="allow")


TRACKERS: dict[str, Callable[[Path, int], GeneralTracker]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "trackio": _trackio,
}
"""Name of a tracker and of its package -> the tracker of a run folder, from a step on."""
CONFIGURED = ("wandb", "trackio")
"""Trackers that get the configuration of the run; TensorBoard would show each start of it as a run of its own."""


def chosen_trackers(text: str | None) -> tuple[str, ...]:
    """Names of trackers: "none", or some joined by commas; without a text TensorBoard, if it is installed.

    Raises:
        ValueError: an unknown name, or the same one twice.
    """
    if text is None:
        return ("tensorboard",) if _is_installed("tensorboard") else ()
    names = [] if text == "none" else str(text).split(",")
    if not set(names) <= set(TRACKERS) or len(set(names)) < len(names):
        raise ValueError(f"trackers: expected none, or joined by commas any of {', '.join(TRACKERS)}, got {text!r}")
    return tuple(names)


def require_trackers(text: str | None) -> None:
    """Refuse trackers whose packages are missing.

    Raises:
        ModuleNotFoundError: names the first of them, and how to install it.
    """
    for name in chosen_trackers(text):
        if not _is_installed(name):
            raise ModuleNotFoundError(f"trackers: {name} is not installed: pip install {name}", name=name)
        if name not in tracking.LOGGER_TYPE_TO_CLASS:
            raise ModuleNotFoundError(f"trackers: {name} needs a newer accelerate: pip install -U accelerate")


class Trackers:
    """The trackers of a run. One that fails is left out with a warning, and the run goes on.

    Args:
        text: as for ``chosen_trackers``.
        folder: of the run.
        config: the configuration as dotted names and values.
        note: called with warnings.
    """

    def __init__(
        self, text: str | None, folder: Path, config: Mapping[str, Any], note: Callable[[str], object]
    ) -> None:
        self._names, self._folder, self._config, self._note = chosen_trackers(text), folder, dict(config), note
        self._running: dict[str, GeneralTracker] | None = None

    def log(self, event: str, fields: Mapping[str, Any]) -> None:
        """Pass on the numbers of a line of metrics.jsonl that has a step; the first starts the trackers."""
        values = scalars(event, fields)
        if not values:
            return
        step: int = fields["step"]
        if self._running is None:
            self._running = {}
            for name in self._names:
                self._try(name, lambda name=name: self._start(name, step))  # type: ignore[misc]
        for name, tracker in list(self._running.items()):
            self._try(name, lambda tracker=tracker: tracker.log(values, step=step))  # type: ignore[misc]

    def finish(self) -> None:
        """Close the trackers."""
        for name, tracker in list((self._running or {}).items()):
            self._try(name, tracker.finish)

    def _start(self, name: str, step: int) -> None:
        tracker = TRACKERS[name](self._folder, step)
        tracker.start()
        if name in CONFIGURED:
            tracker.store_init_configuration(self._config)
        assert self._running is not None
        self._running[name] = tracker

    def _try(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 (a service that is not reached must not end the run)
            (self._running or {}).pop(name, None)
            self._note(f"warning: trackers: {name} failed, and the run goes on without it ({first_line(error)})")


def scalars(event: str, fields: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl by the names of trackers: ``train/loss``, ``query/expected``.

    An evaluation goes by what it is on, a baseline by what it is of. A line without a step has none.
    """
    group = fields.get("on") or fields.get("of") or ("train" if event == "step" else event)
    numbers = {name: value for name, value in fields.items() if isinstance(value, int | float) and name != "step"}
    return {f"{group}/{name}": value for name, value in numbers.items()} if "step" in fields else {}


def _identity(folder: Path) -> str:
    path = folder / IDENTITY
    if not path.exists():
        write_file(path, json.dumps({"id": secrets.token_hex(4)}).encode() + b"\n")
    identity: str = read_json(path, MOST_BYTES)["id"]
    return identity


def _is_installed(name: str) -> bool:
    return find_spec(name) is not None
