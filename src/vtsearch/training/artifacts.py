"""Files of a finished run: the model, indexes of its codes, a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.data.given import is_given
from vtsearch.data.selection import OWN, PROTOCOL, ImageSelection
from vtsearch.encoding.encoder import Encoder
from vtsearch.encoding.index_writer import IndexWriter, new_index
from vtsearch.frameworks import FRAMEWORKS, own
from vtsearch.models import write_model
from vtsearch.reports import PicturedSide, ReportContext, retrieval_rows, spread_over_classes, write_report
from vtsearch.reports.html_report import write_run_report as write_html
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import replace_folder
from vtsearch.training.result import LEARNED, RunResult, write_best, write_result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.data import RetrievalData
    from vtsearch.encoding.evaluation import Sides
    from vtsearch.evaluation import Evaluation
    from vtsearch.index import Index
    from vtsearch.models import HashModel
    from vtsearch.reports import RetrievalRow
    from vtsearch.reports.subjects import Images, Load
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.setup import RunComponents

PICTURED_QUERIES = 10


@dataclass(frozen=True)
class Outcome:
    """Results of a finished run, before they are written to its folder."""

    result: RunResult
    sides: Sides
    """Codes of the protocol's query and database after the last epoch."""
    evaluation: Evaluation
    """Evaluation of these codes."""
    best: Evaluation
    """Evaluation of the model in best/ on the protocol."""


def write_artifacts(run: Path, components: RunComponents, outcome: Outcome) -> None:
    """Write model, codes, report and scores to the run folder; result.json comes last."""
    config, model, data = components.config, components.model, components.data
    result, sides = outcome.result, outcome.sides
    replace_folder(run / files.FINAL, lambda fresh: write_model(model, fresh))
    write_codes(run, config, model, data, sides=sides, database_codes=result.database_codes)
    write_run_report(run, config, model, data, sides=sides, evaluation=outcome.evaluation, result=result)
    write_best(run, result.best_epoch, outcome.best)
    write_html(run, asdict(result), images=_images(data), titles=FRAMEWORKS)
    write_result(run, result)


def write_codes(
    run: Path, config: TrainConfig, model: HashModel, data: RetrievalData, *, sides: Sides, database_codes: str
) -> None:
    """Write the codes of queries and database to one index each, under `codes/`."""
    fingerprints = _fingerprints(model, data, config)
    description = {
        OWN if is_given(data.protocol.name) else PROTOCOL: data.protocol.name,
        "model": str((run / files.FINAL).absolute()),
        "backbone": config.model.backbone,
    } | ({"data": str(Path(config.data).absolute())} if config.data else {})
    description |= {"remark": data.remark} if data.remark else {}
    description |= {"strip_prefix": config.strip_prefix} if config.strip_prefix else {}

    notes = {"database": {"codes": database_codes}}
    if database_codes == LEARNED:
        notes["database"]["new images"] = "the model's own codes: compatible, but not what learning would give them"

    def write(fresh: Path) -> None:
        for part, codes, positions in (
            ("query", sides.query, data.split.query),
            ("database", sides.database, data.split.database),
        ):
            images = ImageSelection(data.source, positions, description | {"part": part} | notes.get(part, {}))
            with new_index(fresh / part, images, model.bits, fingerprints, images.description) as index:
                writer = IndexWriter(index, images)
                writer.add(codes, positions)
                writer.finish()

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
    """Write report.json, report.md and the figures."""
    fingerprints = _fingerprints(model, data, config)
    context = ReportContext(
        protocol=data.protocol.name,
        split=fingerprints["split"],
        model=fingerprints["model"],
        preprocessing=fingerprints["preprocessing"],
        framework=own.short_name(config.framework),
        backbone=config.model.backbone,
        database_codes=result.database_codes,
        symmetric=None if result.symmetric is None else result.symmetric["expected"],
        seed=config.seed,
        command=_command(run, config),
        baselines={name: values["expected"] for name, values in result.baselines.items()},
        remark=data.remark,
    )
    write_report(run, evaluation, context, retrievals=_pictured(data, sides))


def _command(run: Path, config: TrainConfig) -> str:
    """What repeats the run."""
    if is_given(config.protocol):
        return f"vtsearch.train(data=..., output=...) in Python, with the values of {run / files.CONFIG}"
    return f"vtsearch train --config {run / files.CONFIG} --output NEW_FOLDER"


def _pictured(data: RetrievalData, sides: Sides) -> list[RetrievalRow]:
    """Queries of every class with their nearest database images."""

    def side(codes: NDArray[np.uint8], positions: NDArray[np.int64]) -> PicturedSide:
        source = data.source
        return PicturedSide(codes, source.labels[positions], lambda item: source.load(int(positions[item])))

    query, database = side(sides.query, data.split.query), side(sides.database, data.split.database)
    chosen = spread_over_classes(query.labels, PICTURED_QUERIES)
    return retrieval_rows(query, database, chosen, data.source.classes)


def _images(data: RetrievalData) -> Images:
    """How the images of the indexes under `codes/` are loaded: from the data that is open already."""

    def images(index: Index) -> Load:
        positions = {"query": data.split.query, "database": data.split.database}[index.description["part"]]
        return lambda item: data.source.load(int(positions[item]))

    return images


def _fingerprints(model: HashModel, data: RetrievalData, config: TrainConfig) -> dict[str, str]:
    encoder = Encoder(model, precision=config.precision)
    return encoder.fingerprints_of(data.source) | {"split": data.fingerprint}
