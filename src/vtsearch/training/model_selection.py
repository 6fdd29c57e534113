"""What a run finds out about its model: the baselines' scores, those of its epochs, and which epoch was the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.models import load_model, save_model
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import replace_folder
from vtsearch.training.result import ENCODED, LEARNED, Outcome, RunResult, read_best, score, score_line, write_best

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.evaluation import Evaluation
    from vtsearch.training.checkpoint import TrainState
    from vtsearch.training.setup import RunComponents


class BestModelTracker:
    """Judges a run's model as it is now, notes the scores, and keeps the best model in best/."""

    def __init__(self, parts: RunComponents, folder: Path, place: TrainState) -> None:
        self._parts, self._folder, self._place = parts, folder, place

    @property
    def chooses_on(self) -> str:
        """Whose scores choose the best epoch: "validation" (held-out training images) or "query" (the protocol's)."""
        return "validation" if len(self._parts.held_out) else "query"

    @property
    def has_too_few_to_hold_out(self) -> bool:
        """Whether held-out images were to choose and there are not enough of them: then the last epoch counts."""
        return self._parts.config.validation > 0 and not len(self._parts.held_out)

    def due(self, epoch: int) -> bool:
        """Whether the model is judged after this epoch, counted from 1: after the last, and where there is a choice."""
        config = self._parts.config
        if epoch == config.epochs:
            return True
        has_choice = config.evaluate_every > 0 and not self.has_too_few_to_hold_out
        return has_choice and epoch % config.evaluate_every == 0

    def judge_baselines(self) -> None:
        """ModelEvaluator what the trained model has to beat, while the model is as it was built."""
        for name, evaluation in self._parts.judge.of_baselines(self._parts.config.seed).items():
            found = self._place.baselines[name] = score(evaluation)
            self._parts.journal.write("baseline", of=name, **found)
            self._parts.progress.note(score_line(name, evaluation.k, found))

    def judge_epoch(self, epoch: int) -> None:
        """ModelEvaluator the model after an epoch that is due; what the end of the run will ask for is left to it."""
        parts = self._parts
        if self.chooses_on == "validation":
            self._choose(parts.judge.on_held_out(parts.held_out, parts.fit), epoch)
        elif epoch < parts.config.epochs:
            self._choose(parts.judge.on_protocol(parts.framework.database_codes())[1], epoch)

    def conclude(self, images: int) -> Outcome:
        """ModelEvaluator the model after the last epoch, and the best one if it is another.

        Args:
            images: that the run was trained on, each as often as it was seen.
        """
        parts, place = self._parts, self._place
        learned = parts.framework.database_codes()
        sides, evaluation = parts.judge.on_protocol(learned)
        symmetric = None if learned is None else self._judge_symmetric()
        if self.chooses_on == "query":
            self._choose(evaluation, place.epoch)
        else:
            parts.journal.write("evaluation", on="query", epoch=place.epoch, **score(evaluation))
        best = evaluation if place.best_epoch == place.epoch else self._evaluation_of_best()
        result = RunResult(
            final=score(evaluation),
            chosen=score(best),
            k=evaluation.k,
            baselines=dict(place.baselines),
            best=place.best,
            best_epoch=place.best_epoch,
            chosen_on=self.chooses_on,
            epochs=place.epoch,
            seconds=round(place.seconds, 1),
            images_per_second=round(images / max(place.seconds, 1e-9), 1),
            database_codes=ENCODED if symmetric is None else LEARNED,
            symmetric=symmetric,
            remark=parts.data.remark,
        )
        return Outcome(result, sides, evaluation, best)

    def _judge_symmetric(self) -> dict[str, float]:
        """ModelEvaluator the final model as the encoder of the database too, although its codes were learned."""
        _, evaluation = self._parts.judge.on_protocol()
        found = score(evaluation)
        self._parts.journal.write("evaluation", on="query, symmetric", epoch=self._place.epoch, **found)
        self._parts.progress.note(score_line("symmetric use", evaluation.k, found))
        return found

    def _choose(self, evaluation: Evaluation, epoch: int) -> None:
        """Take note of an evaluation, and of the model if it is the best so far."""
        parts, place, on = self._parts, self._place, self.chooses_on
        found = score(evaluation)
        parts.journal.write("evaluation", on=on, epoch=epoch, **found)
        parts.progress.note(score_line(f"epoch {epoch}/{parts.config.epochs} on {on}", evaluation.k, found))
        if found["expected"] > place.best:
            place.best, place.best_epoch = found["expected"], epoch
            if parts.accelerator.is_main_process:
                replace_folder(self._folder / files.BEST, lambda fresh: save_model(parts.model, fresh))
                if on == "query":
                    write_best(self._folder, epoch, evaluation)

    def _evaluation_of_best(self) -> Evaluation:
        """The scores of best/ on the protocol, which a validation has not asked for yet."""
        if self.chooses_on == "query" and (self._folder / files.BEST_SCORES).exists():
            return read_best(self._folder)
        model = load_model(self._folder / files.BEST).to(self._parts.accelerator.device)
        return self._parts.judge.of(model).on_protocol()[1]
