"""Upload of a model, or of the model of a run, to the Hugging Face hub with a card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vtsearch.exchange.hub import HubName, Pushed, checked_repository, hub_name, upload
from vtsearch.models.folder import load_model
from vtsearch.models.model_card import model_card
from vtsearch.reports import run_files
from vtsearch.reports.saved_run import SavedRun, read_run

if TYPE_CHECKING:
    from os import PathLike

    from vtsearch.evaluation import Evaluation

FINAL, BEST = "final", "best"


class _Source(NamedTuple):
    folder: Path
    run: SavedRun | None = None
    evaluation: Evaluation | None = None


def push_model(
    model: str | PathLike[str], repository: str, *, private: bool = False, revision: str | None = None
) -> Pushed:
    """Upload a model to the Hugging Face hub, in one commit; ``vtsearch.load_model(repository)`` loads it anywhere.

    The token is that of the hub's own client: ``hf auth login`` or the variable HF_TOKEN. README.md is written anew.

    Args:
        model: a model folder, or the folder of a run, whose final model is taken. The card of a finished run's model,
            ``final`` or ``best``, has the run's scores and configuration.
        repository: ``user/name``; it is made if there is none.
        private: whether only its owner sees it.
        revision: the branch, made if there is none; by default the main branch.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a repository or a branch of another form; ``private``, and the repository is public.
        VtsearchError: no model, a damaged one, or a run that is not finished; no token, or one without the right to
            write; a hub that does not answer.
    """
    repository = checked_repository(repository)
    if revision is not None and hub_name(f"{repository}@{revision}") is None:
        raise ValueError(f"revision: expected the name of a branch, got {revision!r}")
    source = _source(Path(os.fspath(model)))
    loaded = load_model(source.folder)
    card = model_card(loaded, str(HubName(repository, revision)), source.run, source.evaluation)
    return upload(source.folder, repository, card, private=private, revision=revision)


def _source(folder: Path) -> _Source:
    """The model folder, and the finished run that it belongs to.

    Raises:
        VtsearchError: the folder of a run that is not finished.
    """
    if (folder / run_files.CONFIG).is_file():
        run = read_run(folder)
        return _Source(folder / FINAL, run, run.last)
    place = folder.absolute()
    if place.name in {FINAL, BEST} and (place.parent / run_files.RESULT).is_file():
        run = read_run(place.parent)
        return _Source(folder, run, run.best if place.name == BEST else run.last)
    return _Source(folder)
