"""Scores of a run, and the files that hold them: result.json and best.json."""

from __future__ import annotations

from dataclasses import InitVar, asdict, dataclass, field
from pathlib import Path

from vtsearch._json import read_checked, write_checked
from vtsearch.encoding import Encoder
from vtsearch.errors import VtsearchError
from vtsearch.evaluation import Evaluation, map_name
from vtsearch.training import run_folder as files

ENCODED = "encoded by the model"
LEARNED = "learned, asymmetric"
"""Origins of the database codes."""

MOST_BYTES = 2**26
"""Largest file of scores that is read; curves make up most of one."""

Score = dict[str, float]
"""mAP under each rule for ties: "expected", "index", "best", "worst"; for single labels also "vote", the accuracy of
the vote of the 20 nearest items."""


@dataclass(frozen=True)
class RunResult:
    """Scores of a finished run, as in result.json."""

    final: Score
    """Scores of the final model on the protocol's queries and database."""
    k: int | None
    """Cut-off of mAP; None is the whole database."""
    baselines: dict[str, Score]
    """Scores of the untrained model, of its backbone's pooled features, of a linear classifier on
    them and of random codes."""
    best: float
    """mAP (expected ties) that selected the model in best/."""
    best_epoch: int
    chosen_on: str
    """Queries of that mAP: "validation" (held-out training images) or "query" (those of the protocol)."""
    epochs: int
    seconds: float
    """Training time over all sessions of the run, evaluation excluded."""
    images_per_second: float
    remark: str = ""
    """Differences between these images and the published protocol; empty if there are none."""
    database_codes: str = ENCODED
    """Origin of the database codes: encoded by the model, or learned beside it."""
    symmetric: Score | None = None
    """Scores of the final model as encoder of the database too, where `final` uses learned codes."""
    prefixes: dict[str, Score] = field(default_factory=dict)
    """Scores of the final model's first bits, by their number, for nested codes."""
    unseen: dict[str, Score] = field(default_factory=dict)
    """Scores of the final model for queries of seen and of unseen classes, where not all have training images."""
    stopped: str = ""
    """Why the run ended before its last epoch; empty if it did not."""
    chosen: Score = field(default_factory=dict)
    """Scores of the model in best/ on the protocol; equal to `final` if the last epoch is the best."""
    folder: InitVar[Path | None] = None
    """Folder of the run; no part of result.json."""

    def __post_init__(self, folder: Path | None) -> None:
        object.__setattr__(self, "folder", folder)

    @property
    def model(self) -> Encoder:
        """The Encoder of the model in best/, loaded from the folder of the run: ``result.model.encode(images)``.

        Raises:
            VtsearchError: the folder is gone, or the result was not read from one.
        """
        folder: Path | None = vars(self)["folder"]
        if folder is None or not (folder / files.BEST).is_dir():
            raise VtsearchError(f"model: expected the folder of the run with {files.BEST}/ in it, got {folder}")
        return Encoder(folder / files.BEST)


def score(evaluation: Evaluation) -> Score:
    """The mAP of an evaluation under each rule for ties, and the accuracy of the vote of the nearest items."""
    vote = {} if evaluation.vote is None else {"vote": evaluation.vote}
    return asdict(evaluation.mean_average_precision) | vote


def write_result(run: Path, result: RunResult) -> None:
    """Write result.json, which marks the run as finished."""
    write_checked(run / files.RESULT, asdict(result))


def read_result(run: Path) -> RunResult | None:
    """The scores of a finished run, or None if it is not finished.

    Raises:
        VtsearchError: the file was changed since it was written.
    """
    path = run / files.RESULT
    if not path.exists():
        return None
    content = read_checked(path, MOST_BYTES)
    try:
        return RunResult(**content, folder=run)
    except TypeError as reason:
        raise VtsearchError(f"{path}: not the result of a run ({reason})") from reason


def score_line(name: str, k: int | None, values: Score) -> str:
    """A line of progress output with a score."""
    bounds = f"{values['worst']:.4f} to {values['best']:.4f}"
    vote = f", vote of the nearest {values['vote']:.4f}" if "vote" in values else ""
    return f"{name}  {map_name(k)} {values['expected']:.4f} (by order of ties {bounds}){vote}"


def write_best(run: Path, epoch: int, evaluation: Evaluation) -> None:
    """Write best.json: the evaluation of the model in best/ on the protocol."""
    write_checked(run / files.BEST_SCORES, {"epoch": epoch, "evaluation": evaluation.to_dict()})


def read_best(run: Path) -> Evaluation:
    """Read best.json.

    Raises:
        FileNotFoundError: there is none yet.
        VtsearchError: the file was changed since it was written.
    """
    path = run / files.BEST_SCORES
    content = read_checked(path, MOST_BYTES)
    try:
        return Evaluation.from_dict(content["evaluation"])
    except (KeyError, TypeError, ValueError) as reason:
        raise VtsearchError(f"{path}: not the scores of a run ({reason!r})") from reason
