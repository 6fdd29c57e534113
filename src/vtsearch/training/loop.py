"""The training loop. It knows model, framework and data by what they can do, and none of them by name.

Randomness is derived, not saved: the order of images comes from (seed, epoch), an image's augmentation from (seed,
epoch, row), the dropout of a step from (seed, step, process). So a run that is killed at any moment and continued from
its last checkpoint computes what it would have computed anyway.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import set_seed

from vtsearch.errors import VtsearchError
from vtsearch.models import load_model, save_model
from vtsearch.training import run_folder as files
from vtsearch.training.assembly import assemble
from vtsearch.training.batches import STEP_SEED, derived_seed
from vtsearch.training.checkpoint import load_state, replace_folder, save_state
from vtsearch.training.optimization import set_learning_rate
from vtsearch.training.outcome import (
    ENCODED,
    LEARNED,
    RunResult,
    read_best,
    read_result,
    score,
    score_line,
    write_best,
    write_outcome,
)
from vtsearch.training.precision import resolve_precision
from vtsearch.training.processes import this_process
from vtsearch.training.progress import Progress

if TYPE_CHECKING:
    from os import PathLike
    from typing import TextIO

    from torch import Tensor

    from vtsearch.evaluation import Evaluation
    from vtsearch.training.assembly import Parts
    from vtsearch.training.config import TrainConfig


@dataclass
class Place:
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
    parts = assemble(config, place, Progress(progress if is_main else None))
    with parts.journal:
        return Run(parts, place).finish()


class Run:
    """One run: its parts, and the steps through it."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        self.parts, self.config, self.progress = parts, parts.config, parts.progress
        self.folder = folder
        self.place = Place()
        self._sizes = [parts.batches.size(epoch) for epoch in range(parts.config.epochs)]
        self._steps = sum(map(parts.batches.batches_of, self._sizes))
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._restore()
        self._clock = self._saved = time.monotonic()

    # -----------------------------------------------------------------------------------------------------------------
    # The way through a run

    def finish(self) -> RunResult:
        """Do what is left of the run."""
        self.progress.note(self._what())
        if self.parts.data.remark:
            self.progress.note(f"warning: this is {self.parts.data.remark}")
        if self.config.baselines and not self.place.baselines:
            self._judge_baselines()
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
        place, config, parts = self.place, self.config, self.parts
        epoch = place.epoch + 1
        last = epoch == config.epochs
        due = last or (config.evaluate_every > 0 and epoch % config.evaluate_every == 0)
        if due:
            self._save()  # so that a kill during the evaluation does not cost the epoch, whose end is then redone
        began = time.monotonic()
        parts.framework.end_epoch(place.epoch)
        place.seconds += time.monotonic() - began
        if due and len(parts.held_out):
            self._judged("validation", parts.judge.on_held_out(parts.held_out, parts.fit), epoch)
        elif due and not last:  # after the last epoch the conclusion evaluates
            self._judged("query", parts.judge.on_protocol(parts.framework.database_codes())[1], epoch)
        loss = self._checked_loss_sum() / max(place.batch, 1)
        speed = self.progress.images_per_second
        parts.journal.write("epoch", epoch=epoch, step=place.step, loss=loss, images_per_second=round(speed, 1))
        place.epoch, place.batch = epoch, 0
        self._loss_sum.zero_()
        self.progress.epoch(f"epoch {epoch}/{config.epochs}", loss)
        self._save()

    def _conclude(self) -> RunResult:
        """Judge the final model and write everything that a run leaves behind."""
        parts, place = self.parts, self.place
        learned = parts.framework.database_codes()
        sides, evaluation = parts.judge.on_protocol(learned)
        symmetric = None if learned is None else self._judge_symmetric()
        if len(parts.held_out):
            parts.journal.write("evaluation", on="query", epoch=place.epoch, **score(evaluation))
        else:
            self._judged("query", evaluation, place.epoch)
        best = evaluation if place.best_epoch == place.epoch else self._evaluation_of_best()
        result = RunResult(
            final=score(evaluation),
            chosen=score(best),
            k=evaluation.k,
            baselines=dict(place.baselines),
            best=place.best,
            best_epoch=place.best_epoch,
            chosen_on="validation" if len(parts.held_out) else "query",
            epochs=place.epoch,
            seconds=round(place.seconds, 1),
            images_per_second=round(sum(self._sizes) / max(place.seconds, 1e-9), 1),
            database_codes=ENCODED if symmetric is None else LEARNED,
            symmetric=symmetric,
            remark=parts.data.remark,
        )
        if parts.accelerator.is_main_process:
            write_outcome(self.folder, parts, sides=sides, evaluation=evaluation, best=best, result=result)
        parts.accelerator.wait_for_everyone()
        return result

    # -----------------------------------------------------------------------------------------------------------------
    # Evaluation

    def _judge_baselines(self) -> None:
        """Judge what the trained model has to beat, while the model is as it was built."""
        for name, evaluation in self.parts.judge.of_baselines(self.config.seed).items():
            found = self.place.baselines[name] = score(evaluation)
            self.parts.journal.write("baseline", of=name, **found)
            self.progress.note(score_line(name, evaluation.k, found))

    def _judge_symmetric(self) -> dict[str, float]:
        """Judge the final model as the encoder of the database too, although its codes were learned."""
        _, evaluation = self.parts.judge.on_protocol()
        found = score(evaluation)
        self.parts.journal.write("evaluation", on="query, symmetric", epoch=self.place.epoch, **found)
        self.progress.note(score_line("symmetric use", evaluation.k, found))
        return found

    def _judged(self, on: str, evaluation: Evaluation, epoch: int) -> None:
        """Take note of an evaluation, and of the model if it is the best so far."""
        found = score(evaluation)
        self.parts.journal.write("evaluation", on=on, epoch=epoch, **found)
        self.progress.note(score_line(f"epoch {epoch}/{self.config.epochs} on {on}", evaluation.k, found))
        if found["expected"] > self.place.best:
            self.place.best, self.place.best_epoch = found["expected"], epoch
            if self.parts.accelerator.is_main_process:
                replace_folder(self.folder / files.BEST, lambda fresh: save_model(self.parts.model, fresh))
                if on == "query":
                    write_best(self.folder, epoch, evaluation)

    def _evaluation_of_best(self) -> Evaluation:
        """The scores of best/ on the protocol, which a validation has not asked for yet."""
        if not len(self.parts.held_out) and (self.folder / files.BEST_SCORES).exists():
            return read_best(self.folder)
        model = load_model(self.folder / files.BEST).to(self.parts.accelerator.device)
        return self.parts.judge.of(model).on_protocol()[1]

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
        """Keep everything that `_restore` needs."""
        self.place.loss_sum = self._checked_loss_sum()
        if self.parts.accelerator.is_main_process:
            state: dict[str, Any] = {name: part.state_dict() for name, part in self._stateful().items()}
            state["place"] = asdict(self.place)
            state["split"] = self.parts.data.split.fingerprint
            state["metrics_bytes"] = self.parts.journal.sync()
            save_state(self.folder / files.LAST, state)
        self._saved = time.monotonic()

    def _restore(self) -> None:
        """Go to where the last checkpoint was taken, if there is one."""
        state = load_state(self.folder / files.LAST)
        self.parts.journal.cut(0 if state is None else state["metrics_bytes"])
        self._loss_sum = self._loss_sum.to(self.parts.accelerator.device)
        if state is None:
            return
        if state["split"] != self.parts.data.split.fingerprint:
            raise VtsearchError(f"{self.folder / files.SPLIT}: not the split that this run was trained with")
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])
        self.place = Place(**state["place"])
        self._loss_sum += self.place.loss_sum

    def _stateful(self) -> dict[str, Any]:
        parts = self.parts
        return {"model": parts.model, "framework": parts.framework, "optimizer": parts.optimizer}
