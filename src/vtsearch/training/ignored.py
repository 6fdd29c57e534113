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
