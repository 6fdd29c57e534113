"""Values that do nothing with the data of a run, so that the run can say so; ``effects`` refuses those of any data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.data import PROTOCOLS
from vtsearch.frameworks.base import RunFacts, ignored_options

if TYPE_CHECKING:
    from vtsearch.data import RetrievalData
    from vtsearch.training.config import TrainConfig


def ignored_values(config: TrainConfig, data: RetrievalData) -> list[str]:
    """One line for each value that is not the default and does nothing: ``data: 'folder' does nothing``."""
    facts = RunFacts(config.epochs, single_labels=data.source.labels.ndim == 1)
    options = {} if config.options is None else ignored_options(config.options, facts)
    tree = flat(config)
    asked = {name: reason for name, reason in reasons.items() if look_up(tree, name) != _default(name)}
    asked |= {f"options.{name}": reason for name, reason in options.items()}
    return [f"{name}: {look_up(tree, name)!r} does nothing, because {reason}" for name, reason in asked.items()]


def _of_training(config: TrainConfig) -> Iterator[tuple[str, str]]:
    """Dotted name and reason of what the optimizer, the schedule, the evaluation and the images do not use."""
    if config.optimizer.name != "sgd":
        yield "optimizer.momentum", f"optimizer.name is {config.optimizer.name!r}"
    if config.schedule.name == "constant":
        yield "schedule.warmup", "schedule.name is 'constant'"
    if not config.nested:
        yield "teaching", "the codes have one length"
    if not config.classification:
        yield "smoothing", "classification is 0"
    if not config.evaluate_every:
        yield "validation", "evaluate_every is 0, so that there are no epochs to choose from"
    if config.images == "loader":
        yield "cache_gib", "images is 'loader'"
    if config.images == "device":
        yield "workers", "images is 'device'"
    if config.protocol == "digits" or (config.protocol not in PROTOCOLS and Path(config.protocol).exists()):
        yield "data", "the protocol names its images itself"


def _of_model(config: TrainConfig, model: HashModel) -> Iterator[tuple[str, str]]:
    """Name and reason of what the head and the backbone do not use."""
    head = model.config.head
    if head != "tokens":
        yield from ((name, f"the head is {head!r}") for name in ("dropout", "hidden"))
    if head != "dual":
        yield "groups", f"the head is {head!r}"
    if head == "pooled" and model.config.backbone.partition(".")[0] != "alexnet":
        yield "head_init", "a pooled head starts alike under both"
    if not gives_tokens(model.backbone):
        yield "backbone_dropout", f"{config.model.backbone} is no Vision Transformer"


def _default(dotted: str) -> Any:
    """The default of a field of TrainConfig, ModelConfig, OptimizerConfig or ScheduleConfig."""
    owner, _, name = dotted.rpartition(".")
    kinds = {"optimizer": (OptimizerConfig,), "schedule": (ScheduleConfig,)}.get(owner, (ModelConfig, TrainConfig))
    return next(field.default for kind in kinds for field in dataclasses.fields(kind) if field.name == name)
    lines = [
        f"options.{name}: {getattr(config.options, name)!r} does nothing, because {reason}"
        for name, reason in options.items()
    ]
    names_its_images = config.protocol == "digits" or (
        config.protocol not in PROTOCOLS and Path(config.protocol).exists()
    )
    if config.data is not None and names_its_images:
        lines.insert(0, f"data: {config.data!r} does nothing, because the protocol names its images itself")
    return lines
