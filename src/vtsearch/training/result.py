"""What a finished run leaves behind: its model, indexes of its codes, a report, and result.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._atomic_io import write_file
from vtsearch.data.locate import ImageSelection
from vtsearch.encoding.encoder import Encoder
from vtsearch.encoding.shard import write_index
from vtsearch.evaluation import Evaluation, map_name
from vtsearch.models import save_model
from vtsearch.reports import ReportContext, write_report
from vtsearch.reports.retrievals import PicturedSide, retrieval_rows, spread_over_classes
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import replace_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.data import RetrievalData
    from vtsearch.models import HashModel
    from vtsearch.reports.retrievals import RetrievalRow
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.evaluator import Sides
    from vtsearch.training.setup import RunComponents

PICTURED_QUERIES = 10

ENCODED = "encoded by the model"
LEARNED = "learned, asymmetric"
"""Ways in which the database comes to its codes."""

Score = dict[str, float]
"""mAP under each rule for ties: "expected", "index", "best", "worst"."""


@dataclass(frozen=True)
class RunResult:
    """What a finished run found; result.json holds the same."""

    final: Score
    """Of the model after the last epoch, on the protocol's query and database."""
    k: int | None
    """Length of the list that mAP counts; None is the whole database."""
    baselines: dict[str, Score]
    """Of the model before training, its backbone's pooled features, and random codes, on the same."""
    best: float
    """mAP (expected) by which the model in best/ was chosen."""
    best_epoch: int
    chosen_on: str
    """Whose mAP that is: "validation" (held-out training images) or "query" (the protocol's own)."""
    epochs: int
    seconds: float
    """Spent training, over all continuations, evaluation not included."""
    images_per_second: float
    remark: str = ""
    """How the images differ from what is published under the protocol's name; empty if they do not."""
    database_codes: str = ENCODED
    """How the database came to its codes: encoded by the model, or learned beside it."""
    symmetric: Score | None = None
    """Of the final model where it encodes the database too, if `final` is with codes that were learned."""
    chosen: Score = field(default_factory=dict)
    """Of the model in best/, on the protocol's query and database; `final` again if the last epoch is the best."""


@dataclass(frozen=True)
class Outcome:
    """All that a finished run leaves to be written, but for its model."""

    result: RunResult
    sides: Sides
    """Codes of the protocol's query and database after the last epoch."""
    evaluation: Evaluation
    """Of these codes."""
    best: Evaluation
    """Of the model in best/, on the protocol."""


def score(evaluation: Evaluation) -> Score:
    """The mAP of an evaluation under each rule for ties."""
    return asdict(evaluation.mean_average_precision)


def write_outcome(run: Path, parts: RunComponents, outcome: Outcome) -> None:
    """Write all that a finished run leaves behind, result.json last."""
    config, model, data = parts.config, parts.model, parts.data
    result, sides = outcome.result, outcome.sides
    replace_folder(run / files.FINAL, lambda fresh: save_model(model, fresh))
    write_codes(run, config, model, data, sides=sides, database_codes=result.database_codes)
    write_run_report(run, config, model, data, sides=sides, evaluation=outcome.evaluation, result=result)
    write_best(run, result.best_epoch, outcome.best)
    write_result(run, result)


def write_result(run: Path, result: RunResult) -> None:
    """Write result.json: from now on the run is finished."""
    write_file(run / files.RESULT, (json.dumps(asdict(result), indent=1) + "\n").encode())


def read_result(run: Path) -> RunResult | None:
    """What a finished run found, or None if it is not finished."""
    path = run / files.RESULT
    if not path.exists():
        return None
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return RunResult(**values)


def score_line(what: str, k: int | None, values: Score) -> str:
    """A score for a person."""
    bounds = f"{values['worst']:.4f} to {values['best']:.4f}"
    return f"{what}  {map_name(k)} {values['expected']:.4f} (by order of ties {bounds})"


def write_best(run: Path, epoch: int, evaluation: Evaluation) -> None:
    """Write best.json: all scores, on the protocol, of the model in best/."""
    content = {"epoch": epoch, "evaluation": evaluation.to_dict()}
    write_file(run / files.BEST_SCORES, (json.dumps(content) + "\n").encode())


def read_best(run: Path) -> Evaluation:
    """What `write_best` wrote.

    Raises:
        FileNotFoundError: nothing has been written yet.
    """
    content = json.loads((run / files.BEST_SCORES).read_text(encoding="utf-8"))
    return Evaluation.from_dict(content["evaluation"])


def write_codes(
    run: Path, config: TrainConfig, model: HashModel, data: RetrievalData, *, sides: Sides, database_codes: str
) -> None:
    """Put the codes of query and database into one index each, under `codes/`."""
    fingerprints = _fingerprints(model, data, config)
    description = {
        "protocol": data.protocol.name,
        "model": str((run / files.FINAL).absolute()),
        "backbone": config.model.backbone,
    } | ({"data": str(Path(config.data).absolute())} if config.data else {})
    description |= {"remark": data.remark} if data.remark else {}

    notes = {"database": {"codes": database_codes}}
    if database_codes == LEARNED:
        notes["database"]["new images"] = "the model's own codes: compatible, but not what learning would give them"

    def write(fresh: Path) -> None:
        for part, codes, positions in (
            ("query", sides.query, data.split.query),
            ("database", sides.database, data.split.database),
        ):
            images = ImageSelection(data.source, positions, description | {"part": part} | notes.get(part, {}))
            write_index(
                fresh / part,
                codes,
                images,
                bits=model.bits,
                fingerprints=fingerprints,
                description=images.description,
            )

    replace_folder(run / files.CODES, write)


def write_run_report(
    run: Path,
    config: TrainConfig,
    model: HashModel,
    data: RetrievalData,
    *,
    sides: Sides,
    evaluation: Evaluation,
    result: RunResult,
) -> None:
    """Write report.json, report.md and the pictures."""
    fingerprints = _fingerprints(model, data, config)
    context = ReportContext(
        protocol=data.protocol.name,
        split=fingerprints["split"],
        model=fingerprints["model"],
        preprocessing=fingerprints["preprocessing"],
        framework=config.framework,
        backbone=config.model.backbone,
        database_codes=result.database_codes,
        symmetric=None if result.symmetric is None else result.symmetric["expected"],
        seed=config.seed,
        command=f"vtsearch train --config {run / files.CONFIG} --output NEW_FOLDER",
        baselines={name: values["expected"] for name, values in result.baselines.items()},
        remark=data.remark,
    )
    write_report(run, evaluation, context, retrievals=_pictured(data, sides))


def _pictured(data: RetrievalData, sides: Sides) -> list[RetrievalRow]:
    """Queries of every class with their nearest answers."""

    def side(codes: NDArray[np.uint8], positions: NDArray[np.int64]) -> PicturedSide:
        source = data.source
        return PicturedSide(codes, source.labels[positions], lambda item: source.load(int(positions[item])))

    query, database = side(sides.query, data.split.query), side(sides.database, data.split.database)
    chosen = spread_over_classes(query.labels, PICTURED_QUERIES)
    return retrieval_rows(query, database, chosen, data.source.classes)


def _fingerprints(model: HashModel, data: RetrievalData, config: TrainConfig) -> dict[str, str]:
    return Encoder(model, precision=config.precision).fingerprints | {"split": data.split.fingerprint}
