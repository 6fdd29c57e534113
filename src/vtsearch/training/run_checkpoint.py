"""The last checkpoint of a run: what it holds of the components, and how they are put back."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError, first_line
from vtsearch.frameworks import own
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import STATE_FILE, TrainState, load_state, save_state
from vtsearch.training.coordination import by_main, together
from vtsearch.training.image_identity import compare_images
from vtsearch.training.sharding import is_sharded, load_optimizer, load_weights, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vtsearch.training.config import TrainConfig
    from vtsearch.training.setup import RunComponents


LOADERS: dict[str, Callable[[Any, Any], object]] = {
    "optimizer": load_optimizer,
    "scaler": lambda scaler, state: scaler.load_state_dict(state),
}
"""Name of a part of a checkpoint -> how its state is put back; the others are modules."""


class RunCheckpoint:
    """Writes and reads ``last/`` of a run folder; the main process does, for all."""

    def __init__(self, components: RunComponents, folder: Path) -> None:
        self._components, self._folder = components, folder
        self.epochs = components.config.epochs
        """Epochs of the run when the checkpoint was written, that `restore` has read."""

    def save(self, state: TrainState) -> None:
        """Write a checkpoint with everything that `restore` needs.

        Raises:
            OSError: the disk is full or refuses; the previous checkpoint is intact.
        """
        components, is_main = self._components, self._components.accelerator.is_main_process
        tensors: dict[str, Any] = {}
        if is_main or is_sharded(components.train_module):
            tensors = {name: whole(part.state_dict(), keep=is_main) for name, part in self._stateful().items()}

        def write() -> None:
            content = tensors | {
                "state": asdict(state),
                "processes": components.sampler.begun_by,
                "data": components.data.fingerprint,
                "images": components.images,
                "config": self._config(components.config),
                "epochs": components.config.epochs,
                "metrics_bytes": components.metrics_log.sync(),
            }
            save_state(self._folder / files.LAST, content)

        by_main(write)

    def restore(self) -> TrainState:
        """Restore the last checkpoint, if any, and return its training state.

        Raises:
            VtsearchError: a damaged or foreign checkpoint; a configuration, split or images that are not the run's;
                a number of processes that cannot take its steps.
        """
        content = by_main(lambda: load_state(self._folder / files.LAST))
        if content is None:
            self._components.metrics_log.cut(0)
            return TrainState()
        return together(lambda: self._put_back(content))

    def _put_back(self, content: dict[str, Any]) -> TrainState:
        components = self._components
        try:
            self.epochs = content["epochs"]
            self._compare(content)
            components.sampler.take_over(content["processes"], components.config.epochs)
            components.metrics_log.cut(content["metrics_bytes"])
            for name, part in self._stateful().items():
                LOADERS.get(name, load_weights)(part, content[name])
            return TrainState(**content["state"])
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as reason:
            file = self._folder / files.LAST / STATE_FILE
            raise VtsearchError(f"{file}: not a checkpoint of this run ({first_line(reason)})") from reason

    def _compare(self, content: dict[str, Any]) -> None:
        """Refuse a checkpoint of another configuration, split or set of images."""
        components = self._components
        known = self._config(replace(components.config, epochs=self.epochs))
        if content["config"] != known or self.epochs > components.config.epochs:
            raise VtsearchError(f"{self._folder / files.CONFIG}: not the configuration that this run was started with")
        if content["data"] != components.data.fingerprint:
            raise VtsearchError(
                f"{self._folder / files.SPLIT}: not the split and labels that this run was trained with"
            )
        if components.accelerator.is_main_process:
            warning = compare_images(components.data, content["images"], components.images)
            if warning:
                components.progress.note(f"warning: {warning}")

    def _config(self, config: TrainConfig) -> str:
        return files.config_fingerprint(config, own.source_of(self._components.framework.kind))

    def _stateful(self) -> dict[str, Any]:
        components = self._components
        parts = {
            "model": components.train_module.model,
            "framework": components.framework,
            "classifier": components.train_module.classifier,
            "average": components.model if components.average is not None else None,
            "optimizer": components.optimizer,
            "scaler": components.accelerator.scaler,
        }
        return {name: part for name, part in parts.items() if part is not None}
