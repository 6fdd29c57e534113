"""Evaluation during a run: baselines, epochs, and the selection of the best epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.models import load_model, write_model
from vtsearch.training import run_folder as files
from vtsearch.training.artifacts import Outcome
from vtsearch.training.checkpoint import replace_folder
from vtsearch.training.coordination import by_main
from vtsearch.training.result import ENCODED, LEARNED, RunResult, read_best, score, score_line, write_best

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.evaluation import Evaluation
    from vtsearch.training.checkpoint import TrainState
    from vtsearch.training.setup import RunComponents

AGAINST = "validation against training images"
"""Name of the scores of held-out images in a database of training images: more than queries will have, because the
model knows these by heart. What chooses is their scores among themselves."""


class BestModelTracker:
    """Evaluates the current model of a run, logs the scores, and saves the best model to best/."""

    def __init__(self, components: RunComponents, folder: Path, state: TrainState) -> None:
        self._components, self._folder, self._state = components, folder, state

    @property
    def chooses_on(self) -> str:
        """Queries that select the best epoch: "validation" (held-out training images) or "query" (the protocol's)."""
        return "validation" if len(self._components.held_out) else "query"

    @property
    def has_too_few_to_hold_out(self) -> bool:
        """Whether validation was requested with too few images for it; then the last epoch counts."""
        return self._components.config.validation > 0 and not len(self._components.held_out)

    @property
    def reason_to_stop(self) -> str:
        """Why the run ends before its last epoch; empty if it goes on."""
        config, state = self._components.config, self._state
        is_over = 0 < config.patience <= state.stale and state.epoch < config.epochs
        return (
            f"no better mAP on {self.chooses_on} in {config.patience} evaluation{'s' * (config.patience > 1)}"
            if is_over
            else ""
        )

    def is_due(self, epoch: int) -> bool:
        """Whether to evaluate after this epoch (from 1): after the last one, and every `evaluate_every` epochs."""
        config = self._components.config
        if epoch == config.epochs:
            return True
        has_choice = config.evaluate_every > 0 and not self.has_too_few_to_hold_out
        return has_choice and epoch % config.evaluate_every == 0

    def evaluate_baselines(self) -> None:
        """Evaluate the baselines, before the first training step."""
        for name, evaluation in self._components.evaluator.of_baselines(self._components.config.seed).items():
            found = self._state.baselines[name] = score(evaluation)
            self._components.metrics_log.write("baseline", of=name, step=0, **found)
            self._components.progress.note(score_line(name, evaluation.k, found))

    def evaluate_epoch(self, epoch: int) -> None:
        """Evaluate the model after an epoch; the protocol's queries after the last one are left to `conclude`."""
        components = self._components
        if self.chooses_on == "validation":
            among, against = components.evaluator.on_held_out(components.held_out, components.fit)
            step, found = self._state.step, score(against)
            components.metrics_log.write("evaluation", on=AGAINST, epoch=epoch, step=step, **found)
            self._choose(among, epoch)
        elif epoch < components.config.epochs:
            self._choose(components.evaluator.on_protocol(components.framework.database_codes())[1], epoch)

    def conclude(self, images: int) -> Outcome:
        """Evaluate the model after the last epoch, and the best one if it is another.

        Args:
            images: training images seen in the run, repeats included.
        """
        components, state = self._components, self._state
        learned = components.framework.database_codes()
        sides, evaluation = components.evaluator.on_protocol(learned)
        symmetric = None if learned is None else self._evaluate_symmetric()
        if self.chooses_on == "query" and not self.reason_to_stop:
            self._choose(evaluation, state.epoch)
        elif self.chooses_on == "validation":
            found = score(evaluation)
            components.metrics_log.write("evaluation", on="query", epoch=state.epoch, step=state.step, **found)
        prefixes = components.evaluator.on_prefixes(sides, components.config.prefixes)
        unseen = components.evaluator.on_unseen(sides)
        best = evaluation if state.best_epoch == state.epoch else self._evaluation_of_best()
        result = RunResult(
            final=score(evaluation),
            chosen=score(best),
            unseen={name: score(each) for name, each in unseen.items()},
            prefixes={str(bits): score(each) for bits, each in prefixes.items()},
            k=evaluation.k,
            baselines=dict(state.baselines),
            best=state.best,
            best_epoch=state.best_epoch,
            chosen_on=self.chooses_on,
            epochs=state.epoch,
            stopped=self.reason_to_stop,
            seconds=round(state.seconds, 1),
            images_per_second=round(images / max(state.seconds, 1e-9), 1),
            database_codes=ENCODED if symmetric is None else LEARNED,
            symmetric=symmetric,
            remark=components.data.remark,
            folder=self._folder,
        )
        return Outcome(result, sides, evaluation, best)

    def _evaluate_symmetric(self) -> dict[str, float]:
        """Evaluate the final model as encoder of the database too, instead of the learned codes."""
        _, evaluation = self._components.evaluator.on_protocol()
        found, state = score(evaluation), self._state
        self._components.metrics_log.write(
            "evaluation", on="query, symmetric", epoch=state.epoch, step=state.step, **found
        )
        self._components.progress.note(score_line("symmetric use", evaluation.k, found))
        return found

    def _choose(self, evaluation: Evaluation, epoch: int) -> None:
        """Log an evaluation, and save the model if it is the best so far."""
        components, state, on = self._components, self._state, self.chooses_on
        found = score(evaluation)
        components.metrics_log.write("evaluation", on=on, epoch=epoch, step=state.step, **found)
        components.progress.note(score_line(f"epoch {epoch}/{components.config.epochs} on {on}", evaluation.k, found))
        state.stale += 1
        if found["expected"] > state.best:
            state.best, state.best_epoch, state.stale = found["expected"], epoch, 0
            by_main(lambda: self._write_best(evaluation if on == "query" else None))

    def _write_best(self, evaluation: Evaluation | None) -> None:
        """Write best/, and its evaluation on the protocol if there is one."""
        replace_folder(self._folder / files.BEST, lambda fresh: write_model(self._components.model, fresh))
        if evaluation is not None:
            write_best(self._folder, self._state.best_epoch, evaluation)

    def _evaluation_of_best(self) -> Evaluation:
        """The evaluation of best/ on the protocol, computed now if validation selected it."""
        if (known := by_main(self._known_evaluation_of_best)) is not None:
            return known
        model = by_main(lambda: load_model(self._folder / files.BEST)).to(self._components.accelerator.device)
        return self._components.evaluator.of(model).on_protocol()[1]

    def _known_evaluation_of_best(self) -> Evaluation | None:
        is_known = self.chooses_on == "query" and (self._folder / files.BEST_SCORES).exists()
        return read_best(self._folder) if is_known else None
