"""The life of a training run, top to bottom. It uses the interfaces of model, framework and data, never their names.

Random numbers are derived from seeds: the order of images from (seed, epoch), an image's augmentation from (seed,
epoch, row, view), the dropout of a batch from (seed, step, process, number of the batch in the step). A killed run
therefore resumes from its last checkpoint with bit-identical results. ``setup.py`` builds the components that are used
here.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate.utils import set_seed

from vtsearch.encoding.precision import has_bf16, resolve_precision
from vtsearch.errors import VtsearchError
from vtsearch.tensors.distributed import equal_batches
from vtsearch.training import run_folder as files
from vtsearch.training.artifacts import write_artifacts
from vtsearch.training.coordination import by_main, named_losses, require_same_config, require_shared
from vtsearch.training.devices import matrix_products, this_process
from vtsearch.training.extension import check_extension, depends_on_epochs, require_finished, require_last, restart_line
from vtsearch.training.ignored import ignored_values
from vtsearch.training.model_selection import BestModelTracker
from vtsearch.training.optimization import set_learning_rate
from vtsearch.training.progress import Progress
from vtsearch.training.result import RunResult, read_result
from vtsearch.training.run_checkpoint import RunCheckpoint
from vtsearch.training.sampler import STEP_SEED, derived_seed, windows
from vtsearch.training.setup import set_up
from vtsearch.training.sharding import copy_weights
from vtsearch.training.start import find_start
from vtsearch.training.thresholds import thresholds_applied
from vtsearch.training.trackers import require_trackers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from typing import TextIO

    from torch import Tensor

    from vtsearch.data.given import GivenImages
    from vtsearch.data.loading.torch_dataset import ImageBatch
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.setup import RunComponents


def train(
    config: TrainConfig,
    folder: str | PathLike[str],
    *,
    images: GivenImages | None = None,
    resume: bool = False,
    progress: TextIO | None = None,
) -> RunResult:
    """Train a model, evaluate it beside its baselines, and write model, codes and report to a run folder.

    ``vtsearch.train`` does the same from keyword arguments.

    Args:
        config: the complete run.
        folder: new or empty; with `resume` also the folder of this run, which is then continued.
        images: those of the protocol, if they are given in Python: ``vtsearch.data.given.given_images``.
        resume: continue from the last checkpoint, with the results of an uninterrupted run. A run may be continued
            with more epochs: with the constant schedule to the results of a run that had them from the start, with
            another schedule once it is finished, and then through a new one over the added epochs.
        progress: stream for progress messages; None prints nothing.

    Raises:
        FileExistsError: a folder that is not empty, without `resume`.
        VtsearchError: the folder of another run; damaged files or images that are not those of its start; no model to
            start from; a loss that is not finite. Of several processes: another one failed or was lost; they do not
            share the folder, the configuration or the data; they cannot divide the steps of the run that they continue.
        BlockingIOError: another process trains in the folder.
        ValueError: an unknown framework, protocol or backbone; another backbone than that of the model to start from.
        ModuleNotFoundError: a tracker that is not installed.
        OSError: a checkpoint that cannot be written; the previous one is intact.
    """
    path, process = Path(folder), this_process(config.timeout_minutes)
    messages = Progress(progress if process.is_main_process else None)
    with named_losses(), ExitStack() as held:
        given, start = config, by_main(lambda: find_start(config, path))
        config = replace(given, **start)
        by_main(lambda: require_trackers(config.trackers))
        by_main(lambda: _check(path, config, resume=resume))
        if resume and (finished := by_main(lambda: _finished(path, config, messages))) is not None:
            return finished
        by_main(lambda: held.enter_context(files.lock(path)))
        require_shared(path)
        require_same_config(given)
        by_main(lambda: _check(path, config, resume=resume))  # once more: another run may have been faster
        if resume and not files.is_claimed(path):
            messages.note(f"{path}: no run to continue; a new one starts")
        components = set_up(config, path, messages, images)
        with components.metrics_log:
            return Run(components, path).finish()


def _check(folder: Path, config: TrainConfig, *, resume: bool) -> None:
    """Refuse a folder in which this run can neither start nor resume."""
    files.check(folder, config, resume=resume)
    check_extension(folder, config)


def _finished(folder: Path, config: TrainConfig, messages: Progress) -> RunResult | None:
    """The result of a finished run, or None if there is something left to do: epochs, or missing parts to write again.

    Raises:
        VtsearchError: parts of the finished run are missing and cannot be written again, or more epochs be trained.
    """
    result = read_result(folder)
    if result is not None and not result.stopped and result.epochs < config.epochs:
        require_last(folder, config)
        return None
    if result is None or not (missing := files.missing_parts(folder)):
        return result
    names = ", ".join(f"{name}/" for name in missing)
    if files.BEST in missing or not (folder / files.LAST).is_dir():
        raise VtsearchError(
            f"{folder}: the run is finished and {names} is missing, which cannot be written again"
            f"{'' if files.BEST in missing else ' without last/'}; restore it from a copy, or train in another --output"
        )
    messages.note(f"{folder}: the run is finished and {names} is missing; evaluating again to write it")
    return None


class Run:
    """One run: its components, its state, and the steps from one to the other."""

    def __init__(self, components: RunComponents, folder: Path) -> None:
        self.components, self.config, self.progress = components, components.config, components.progress
        self.folder = folder
        self._checkpoint = RunCheckpoint(components, folder)
        self.state = self._checkpoint.restore()
        self._extends = self.state.step > 0 and self._checkpoint.epochs < components.config.epochs
        self._sizes = [components.sampler.size(epoch) for epoch in range(components.config.epochs)]
        batches = map(components.sampler.batches_of, self._sizes)
        self._steps = sum(math.ceil(count / components.config.accumulate) for count in batches)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=components.accelerator.device)
        self._loss_sum += self.state.loss_sum
        self.best_model = BestModelTracker(components, folder, self.state)
        self._clock = self._saved = time.monotonic()

    # -----------------------------------------------------------------------------------------------------------------
    # From the first epoch to the last

    def finish(self) -> RunResult:
        """Run the remaining epochs and write the results."""
        state, config = self.state, self.config
        self._announce()
        by_main(lambda: files.lengthen(self.folder, config))
        if self._extends:
            self._extend()
        if config.baselines and not state.baselines:
            self.best_model.evaluate_baselines()
            self._save()
        done, current = sum(self._sizes[: state.epoch]), sum(self._sizes[state.epoch : state.epoch + 1])
        self.progress.start(sum(self._sizes), done + min(state.batch * config.batch_size, current))
        while state.epoch < config.epochs and not self.best_model.reason_to_stop:
            with matrix_products(tf32=config.tf32):  # evaluations compute as every encoder does
                self._train_epoch()
            self._end_epoch()
        self.progress.stop()
        return self._conclude()

    def _extend(self) -> None:
        """Go on from the end of a run of fewer epochs, as if it had been one of more from the start.

        Only a schedule that depends on their number begins anew. The checkpoint is the one before the scores of the
        last epoch on the protocol's queries; if they can choose the best epoch, they do now.
        """
        state, before = self.state, self._checkpoint.epochs
        self.progress.note(f"epochs: {before} before, {self.config.epochs} now{restart_line(self.config)}")
        require_finished(self.folder, self.config, before, is_finished=state.epoch == before)
        if state.epoch == before:
            if depends_on_epochs(self.config):
                state.schedule_start = state.step
            if self.best_model.chooses_on == "query" and self.best_model.is_due(state.epoch):
                with self._evaluated_model():
                    self.best_model.evaluate_epoch(state.epoch)
        self._save()

    def _train_epoch(self) -> None:
        """Train on the remaining batches of the current epoch."""
        state, components = self.state, self.components
        if state.batch == 0:
            components.framework.start_epoch(state.epoch)
        components.train_images.set_epoch(state.epoch)
        components.sampler.epoch, components.sampler.first = state.epoch, state.batch
        components.train_module.train()
        self._clock = time.monotonic()
        for batches in windows(components.loader, self.config.accumulate):
            loss = self._step(batches)
            self._loss_sum += loss * len(batches)
            state.batch += len(batches)
            state.step += 1
            state.seconds += (now := time.monotonic()) - self._clock
            self._clock = now
            images = sum(len(batch.positions) for batch in batches) // components.train_images.views
            images *= components.accelerator.num_processes
            self.progress.step(images, f"epoch {state.epoch + 1}/{self.config.epochs}", loss.item)
            if state.step % self.config.log_every == 0:
                self._log_step(float(loss))
            if self._is_checkpoint_due():
                self._save()

    def _step(self, batches: list[ImageBatch]) -> Tensor:
        """Take one optimizer step; returns the mean loss over all processes, on the device."""
        components, config, accelerator = self.components, self.config, self.components.accelerator
        set_learning_rate(components.optimizer, config.schedule, self._share())
        images = sum(len(batch.positions) for batch in batches)
        loss = torch.zeros((), device=accelerator.device)
        for number, batch in enumerate(batches):
            is_last = number == len(batches) - 1
            with nullcontext() if is_last else accelerator.no_sync(components.parallel_module):
                loss += self._add_gradient(batch, len(batch.positions) / images, number)
        if config.optimizer.clip:
            accelerator.clip_grad_norm_(components.train_module.parameters(), config.optimizer.clip)
        components.optimizer.step()
        components.optimizer.zero_grad(set_to_none=True)
        if components.average is not None:
            components.average.update(components.train_module.model, self.state.step)
        mean: Tensor = accelerator.reduce(loss, reduction="mean")
        return mean

    def _add_gradient(self, batch: ImageBatch, share: float, number: int) -> Tensor:
        """Add the gradient of a batch's loss.

        Args:
            batch: of this process.
            share: its weight among the batches of the step, by their images.
            number: of the batch in the step, from 0.

        Returns:
            The weighted loss, on the device.
        """
        accelerator, of_batch = self.components.accelerator, (number,) if number else ()
        seed = derived_seed(self.config.seed, STEP_SEED, self.state.step, accelerator.process_index, *of_batch)
        set_seed(seed)
        pixels, labels, positions = (part.to(accelerator.device, non_blocking=True) for part in batch)
        images = self.components.model.preprocessing.normalize(pixels)
        with accelerator.autocast(), equal_batches():
            loss: Tensor = self.components.parallel_module(images, labels, positions) * share
        accelerator.backward(loss)
        return loss.detach()

    def _share(self) -> float:
        """The share of the learning rate schedule that is behind this step."""
        begun = self.state.schedule_start
        return (self.state.step - begun) / (self._steps - begun)

    def _end_epoch(self) -> None:
        """End the epoch of the framework, evaluate the model if it is due, and advance to the next epoch."""
        state, components = self.state, self.components
        epoch = state.epoch + 1
        if due := self.best_model.is_due(epoch):
            self._save()  # a kill during the evaluation then costs no training step; the end of the epoch is redone
        began = time.monotonic()
        components.framework.end_epoch(state.epoch)
        state.seconds += time.monotonic() - began
        loss = self._finite_loss_sum() / max(state.batch, 1)
        speed = round(self.progress.images_per_second, 1)
        components.metrics_log.write("epoch", epoch=epoch, step=state.step, loss=loss, images_per_second=speed)
        if due:
            with self._evaluated_model():
                self.best_model.evaluate_epoch(epoch)
        state.epoch, state.batch = epoch, 0
        self._loss_sum.zero_()
        self.progress.epoch(f"epoch {epoch}/{self.config.epochs}", loss)
        if reason := self.best_model.reason_to_stop:
            components.metrics_log.write("stop", epoch=epoch, step=state.step, reason=reason)
            self.progress.note(f"epoch {epoch}/{self.config.epochs}: the run ends here, {reason}")
        self._save()

    def _conclude(self) -> RunResult:
        """Evaluate the final model and write the artifacts of the run."""
        with self._evaluated_model():
            outcome = self.best_model.conclude(images=sum(self._sizes[: self.state.epoch]))
            by_main(lambda: write_artifacts(self.folder, self.components, outcome))
        return outcome.result

    @contextmanager
    def _evaluated_model(self) -> Iterator[None]:
        """Within it the model that is evaluated and saved is up to date, alike in all processes."""
        components = self.components
        copy_weights(
            components.train_module.model if components.average is None else components.model, components.model
        )
        with thresholds_applied(components):
            yield

    # -----------------------------------------------------------------------------------------------------------------
    # Messages and the metrics log

    def _announce(self) -> None:
        """Print the sizes of the split, the devices, and remarks on the data."""
        data, accelerator, state = self.components.data, self.components.accelerator, self.state
        arithmetic = resolve_precision(self.config.precision, accelerator.device)
        resumed = f", from epoch {state.epoch + 1}, step {state.step}" if state.step else ""
        self.progress.note(
            f"{self.config.protocol}: {len(self.components.fit):,} train, {len(data.split.query):,} query,"
            f" {len(data.split.database):,} database; {accelerator.num_processes} x {accelerator.device.type},"
            f" {arithmetic}; {self.folder}{resumed}"
        )
        if arithmetic == "bf16" and not has_bf16(accelerator.device):
            self.progress.note("warning: this device has no bfloat16 instructions; --precision fp32 is faster on it")
        if (begun_by := self.components.sampler.begun_by) != accelerator.num_processes:
            self.progress.note(f"processes: begun by {begun_by}; the steps keep their images, dropout draws anew")
        if data.remark:
            self.progress.note(f"warning: this is {data.remark}")
        for line in (*ignored_values(self.config, data), *data.remarks):
            self.progress.note(f"warning: {line}")
        if self.best_model.has_too_few_to_hold_out:
            self.progress.note("validation: too few held-out images to choose an epoch; the last one counts")

    def _log_step(self, loss: float) -> None:
        self._finite_loss_sum()
        rate = max(group["lr"] for group in self.components.optimizer.param_groups)
        step, epoch = self.state.step, self.state.epoch + 1
        self.components.metrics_log.write("step", step=step, epoch=epoch, loss=loss, lr=rate)

    def _finite_loss_sum(self) -> float:
        """The sum of the epoch's losses.

        Raises:
            VtsearchError: it is NaN or infinite.
        """
        total = float(self._loss_sum)
        if total - total != 0.0:
            raise VtsearchError(
                f"loss: not finite in epoch {self.state.epoch + 1} by step {self.state.step};"
                f" the last checkpoint before it is intact; try a lower --optimizer.lr"
            )
        return total

    # -----------------------------------------------------------------------------------------------------------------
    # Checkpoints

    def _is_checkpoint_due(self) -> bool:
        if self.state.batch == self.components.sampler.batches_of(self._sizes[self.state.epoch]):
            return False  # the end of the epoch writes one
        steps = self.config.checkpoint_steps
        return bool(steps and self.state.step % steps == 0) or self._is_overdue()

    def _is_overdue(self) -> bool:
        """Whether the last checkpoint is old by the clock of the main process."""
        limit = 60 * self.config.checkpoint_minutes
        if self.components.accelerator.num_processes > 1 and self.state.step % self.config.log_every:
            return False  # to ask the main process costs more than a look at the clock
        return by_main(lambda: time.monotonic() - self._saved > limit)

    def _save(self) -> None:
        """Write a checkpoint."""
        self.state.loss_sum = self._finite_loss_sum()
        self._checkpoint.save(self.state)
        self._saved = time.monotonic()
