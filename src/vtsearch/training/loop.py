"""The training loop. It knows model, framework and data by what they can do, and none of them by name.

Randomness is derived, not saved: the order of images comes from (seed, epoch), an image's augmentation from (seed,
epoch, row), the dropout of a step from (seed, step, process). So a run that is killed at any moment and continued from
its last checkpoint computes what it would have computed anyway.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import set_seed

from vtsearch.encoding.precision import resolve_precision
from vtsearch.errors import VtsearchError
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import TrainState, load_state, save_state
from vtsearch.training.devices import this_process
from vtsearch.training.model_selection import BestModelTracker
from vtsearch.training.optimization import set_learning_rate
from vtsearch.training.progress import Progress
from vtsearch.training.result import RunResult, read_result, write_outcome
from vtsearch.training.sampler import STEP_SEED, derived_seed
from vtsearch.training.setup import set_up

if TYPE_CHECKING:
    from os import PathLike
    from typing import TextIO

    from torch import Tensor

    from vtsearch.training.config import TrainConfig
    from vtsearch.training.setup import RunComponents


def train(
    config: TrainConfig, folder: str | PathLike[str], *, resume: bool = False, progress: TextIO | None = None
) -> RunResult:
    """Train a model in a run folder, judge it beside its baselines, and leave codes and a report there.

    Args:
        config: the complete run.
        folder: new or empty; with `resume` also one where this very run was begun, which is then continued.
        resume: continue from the last checkpoint, to the numbers that an uninterrupted run has.
        progress: the stream that a person watches; by default nothing is said.

    Raises:
        FileExistsError: a folder that is not empty, without `resume`.
        VtsearchError: a folder of another run; a loss that is not finite.
        ValueError: an unknown framework, protocol or backbone.
        OSError: a checkpoint that cannot be written; the previous one is intact.
    """
    place, is_main = Path(folder), this_process().is_main_process
    if is_main:  # for the others there may already be what it writes next
        files.check(place, config, resume=resume)
    if resume and (finished := read_result(place)) is not None:
        return finished
    parts = set_up(config, place, Progress(progress if is_main else None))
    with parts.journal:
        return Run(parts, place).finish()


class Run:
    """One run: its parts, and the steps through it."""

    def __init__(self, parts: RunComponents, folder: Path) -> None:
        self.parts, self.config, self.progress = parts, parts.config, parts.progress
        self.folder = folder
        self._sizes = [parts.batches.size(epoch) for epoch in range(parts.config.epochs)]
        self._steps = sum(map(parts.batches.batches_of, self._sizes))
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self.place = self._restored()
        self.scorer = BestModelTracker(parts, folder, self.place)
        self._clock = self._saved = time.monotonic()

    # -----------------------------------------------------------------------------------------------------------------
    # The way through a run

    def finish(self) -> RunResult:
        """Do what is left of the run."""
        self.progress.note(self._what())
        if self.parts.data.remark:
            self.progress.note(f"warning: this is {self.parts.data.remark}")
        if self.scorer.has_too_few_to_hold_out:
            self.progress.note("validation: so few held-out images could not choose an epoch; the last one counts")
        if self.config.baselines and not self.place.baselines:
            self.scorer.judge_baselines()
            self._save()
        done, now = sum(self._sizes[: self.place.epoch]), sum(self._sizes[self.place.epoch : self.place.epoch + 1])
        self.progress.start(sum(self._sizes), done + min(self.place.batch * self.config.batch_size, now))
        while self.place.epoch < self.config.epochs:
            self._train_epoch()
            self._end_epoch()
        self.progress.stop()
        return self._conclude()

    def _train_epoch(self) -> None:
        place, parts = self.place, self.parts
        if place.batch == 0:
            parts.framework.start_epoch(place.epoch)
        parts.items.set_epoch(place.epoch)
        parts.batches.epoch, parts.batches.first = place.epoch, place.batch
        parts.objective.train()
        self._clock = time.monotonic()
        for images, labels, positions in parts.loader:
            loss = self._step(images, labels, positions)
            self._loss_sum += loss
            place.batch += 1
            place.step += 1
            place.seconds += (now := time.monotonic()) - self._clock
            self._clock = now
            processes = parts.accelerator.num_processes
            self.progress.step(len(images) * processes, f"epoch {place.epoch + 1}/{self.config.epochs}", loss.item)
            if place.step % self.config.log_every == 0:
                self._log_step(float(loss))
            if self._checkpoint_due():
                self._save()

    def _step(self, images: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """One step of the optimizer; returns the loss over all processes, still on the device."""
        parts, config, device = self.parts, self.config, self.parts.accelerator.device
        set_seed(derived_seed(config.seed, STEP_SEED, self.place.step, parts.accelerator.process_index))
        set_learning_rate(parts.optimizer, config.schedule, self.place.step / self._steps)
        loss: Tensor = parts.prepared(
            images.to(device, non_blocking=True),
            labels.to(device, non_blocking=True),
            positions.to(device, non_blocking=True),
        )
        parts.accelerator.backward(loss)
        if config.optimizer.clip:
            parts.accelerator.clip_grad_norm_(parts.objective.parameters(), config.optimizer.clip)
        parts.optimizer.step()
        parts.optimizer.zero_grad(set_to_none=True)
        of_all: Tensor = parts.accelerator.reduce(loss.detach(), reduction="mean")
        return of_all

    def _end_epoch(self) -> None:
        """End the epoch for the framework, evaluate if it is time to, and go on to the next one."""
        place, parts = self.place, self.parts
        epoch = place.epoch + 1
        if due := self.scorer.due(epoch):
            self._save()  # so that a kill during the evaluation does not cost the epoch, whose end is then redone
        began = time.monotonic()
        parts.framework.end_epoch(place.epoch)
        place.seconds += time.monotonic() - began
        if due:
            self.scorer.judge_epoch(epoch)
        loss = self._checked_loss_sum() / max(place.batch, 1)
        speed = self.progress.images_per_second
        parts.journal.write("epoch", epoch=epoch, step=place.step, loss=loss, images_per_second=round(speed, 1))
        place.epoch, place.batch = epoch, 0
        self._loss_sum.zero_()
        self.progress.epoch(f"epoch {epoch}/{self.config.epochs}", loss)
        self._save()

    def _conclude(self) -> RunResult:
        """ModelEvaluator the final model and write everything that a run leaves behind."""
        outcome = self.scorer.conclude(images=sum(self._sizes))
        if self.parts.accelerator.is_main_process:
            write_outcome(self.folder, self.parts, outcome)
        self.parts.accelerator.wait_for_everyone()
        return outcome.result

    # -----------------------------------------------------------------------------------------------------------------
    # Notes and checkpoints

    def _what(self) -> str:
        split, accelerator = self.parts.data.split, self.parts.accelerator
        begun = f", from epoch {self.place.epoch + 1}, step {self.place.step}" if self.place.step else ""
        return (
            f"{self.config.protocol}: {len(self.parts.fit):,} train, {len(split.query):,} query,"
            f" {len(split.database):,} database; {accelerator.num_processes} x {accelerator.device.type},"
            f" {resolve_precision(self.config.precision, accelerator.device)}; {self.folder}{begun}"
        )

    def _log_step(self, loss: float) -> None:
        self._checked_loss_sum()
        rate = max(group["lr"] for group in self.parts.optimizer.param_groups)
        self.parts.journal.write("step", step=self.place.step, epoch=self.place.epoch + 1, loss=loss, lr=rate)

    def _checked_loss_sum(self) -> float:
        total = float(self._loss_sum)
        if total - total != 0.0:  # neither NaN nor infinite
            raise VtsearchError(
                f"loss: not finite in epoch {self.place.epoch + 1} by step {self.place.step};"
                f" the last checkpoint before it is intact; try a lower --optimizer.lr"
            )
        return total

    def _checkpoint_due(self) -> bool:
        steps, minutes = self.config.checkpoint_steps, self.config.checkpoint_minutes
        if self.place.batch == self.parts.batches.batches_of(self._sizes[self.place.epoch]):
            return False  # the end of the epoch sees to it
        return bool(steps and self.place.step % steps == 0) or time.monotonic() - self._saved > 60 * minutes

    def _save(self) -> None:
        """Keep everything that `_restored` needs."""
        self.place.loss_sum = self._checked_loss_sum()
        if self.parts.accelerator.is_main_process:
            state: dict[str, Any] = {name: part.state_dict() for name, part in self._stateful().items()}
            state["place"] = asdict(self.place)
            state["split"] = self.parts.data.split.fingerprint
            state["metrics_bytes"] = self.parts.journal.sync()
            save_state(self.folder / files.LAST, state)
        self._saved = time.monotonic()

    def _restored(self) -> TrainState:
        """Bring all parts to where the last checkpoint was taken, if there is one, and say where that is."""
        state = load_state(self.folder / files.LAST)
        self.parts.journal.cut(0 if state is None else state["metrics_bytes"])
        self._loss_sum = self._loss_sum.to(self.parts.accelerator.device)
        if state is None:
            return TrainState()
        if state["split"] != self.parts.data.split.fingerprint:
            raise VtsearchError(f"{self.folder / files.SPLIT}: not the split that this run was trained with")
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])
        place = TrainState(**state["place"])
        self._loss_sum += place.loss_sum
        return place

    def _stateful(self) -> dict[str, Any]:
        parts = self.parts
        return {"model": parts.model, "framework": parts.framework, "optimizer": parts.optimizer}
