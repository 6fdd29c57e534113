"""Vision Transformer Hashing: learn short binary codes for images, then rank, search and evaluate them.

With numpy alone: `pack`, `rank`, `mean_average_precision` and their friends. With the extra ``train``: `load_model` and
the commands that train and encode. Nothing here imports torch before it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch._database import Database
from vtsearch._native import __version__
from vtsearch.codes import pack, unpack
from vtsearch.duplicates import Duplicates, deduplicate
from vtsearch.errors import VtsearchError, missing_extra
from vtsearch.evaluation import (
    Comparison,
    Evaluation,
    Interval,
    PermutationTest,
    bootstrap_interval,
    compare,
    evaluate,
    permutation_test,
)
from vtsearch.index import Index
from vtsearch.metrics import average_precision, mean_average_precision
from vtsearch.ranking import Neighbors, Ranking, count, distances, histogram, rank, within

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.models import HashModel

__all__ = [
    "pack",
    "unpack",
    "rank",
    "within",
    "count",
    "distances",
    "histogram",
    "deduplicate",
    "average_precision",
    "mean_average_precision",
    "evaluate",
    "compare",
    "bootstrap_interval",
    "permutation_test",
    "Database",
    "Index",
    "load_model",
    "Ranking",
    "Neighbors",
    "Duplicates",
    "Evaluation",
    "Comparison",
    "Interval",
    "PermutationTest",
    "VtsearchError",
    "__version__",
]


def load_model(path: str | Path) -> HashModel:
    """A trained model from its folder, ready to encode images; needs the extra ``train``.

    Args:
        path: a model folder, as training writes it (``best`` or ``final`` of a run).

    Returns:
        The model in evaluation mode; its ``encode`` turns images into codes, (n, bytes) uint8.

    Raises:
        FileNotFoundError: no such folder.
        VtsearchError: the folder is not a model, or is damaged.
        ModuleNotFoundError: the extra ``train`` is not installed.
    """
    try:
        from vtsearch.models import load_model as load  # noqa: PLC0415  torch is imported here, not by the numpy side
    except ModuleNotFoundError as missing:
        raise missing_extra(missing.name or "torch") from missing
    return load(path)
