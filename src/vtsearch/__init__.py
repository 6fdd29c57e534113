"""Vision Transformer Hashing: learn short binary codes for images, then rank, search and evaluate them.

With numpy alone: `pack`, `rank`, `mean_average_precision` and their friends. With the extra ``train``: `load_model`,
`Encoder`, `HashEncoder`, `train`, `fit` and the commands that train, fit and encode. Nothing here imports torch before
it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vtsearch._database import Database
from vtsearch._native import __version__
from vtsearch._queries import query_weights
from vtsearch._tables import Explanation
from vtsearch.codes import pack, prefix, unpack
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
from vtsearch.metrics import average_precision, mean_average_precision, vote_accuracy
from vtsearch.multi_index import MultiIndex
from vtsearch.ranking import Neighbors, Ranking, count, distances, histogram, rank, within
from vtsearch.rescoring import rescore

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.encoding import Encoder
    from vtsearch.encoding.estimator import HashEncoder
    from vtsearch.fitting.model import fit
    from vtsearch.training.keywords import train

__all__ = [
    "pack",
    "unpack",
    "prefix",
    "rank",
    "within",
    "count",
    "distances",
    "histogram",
    "query_weights",
    "rescore",
    "deduplicate",
    "average_precision",
    "mean_average_precision",
    "vote_accuracy",
    "evaluate",
    "compare",
    "bootstrap_interval",
    "permutation_test",
    "Database",
    "MultiIndex",
    "Index",
    "Encoder",
    "HashEncoder",
    "load_model",
    "train",
    "fit",
    "Ranking",
    "Neighbors",
    "Duplicates",
    "Explanation",
    "Evaluation",
    "Comparison",
    "Interval",
    "PermutationTest",
    "VtsearchError",
    "__version__",
]


def load_model(path: str | Path) -> Encoder:
    """The Encoder of a trained model, with defaults throughout; needs the extra ``train``.

    Args:
        path: a model folder, as training writes it (``best`` or ``final`` of a run); or, as text where there is no such
            folder, ``user/name`` or ``user/name@revision`` of the Hugging Face hub.

    Returns:
        Its ``encode`` gives the codes of images, (n, bytes) uint8, the same as ``vtsearch encode``; ``model`` is the
        model itself, in evaluation mode.

    Raises:
        FileNotFoundError: no such folder and no such repository.
        VtsearchError: the folder is not a model, or is damaged; a hub that does not answer or refuses.
        ModuleNotFoundError: the extra ``train`` is not installed.
    """
    encoder: Encoder = __getattr__("Encoder")(path)
    return encoder


_NEED_TORCH = {
    "Encoder": "vtsearch.encoding",
    "HashEncoder": "vtsearch.encoding.estimator",
    "train": "vtsearch.training.keywords",
    "fit": "vtsearch.fitting.model",
}


def __getattr__(name: str) -> Any:
    """Names that are imported on first use, because most programs do not need them or because they import torch."""
    if name in ("reference", "torch"):
        return importlib.import_module(f"vtsearch.{name}")
    if name not in _NEED_TORCH:
        raise AttributeError(f"module 'vtsearch' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_NEED_TORCH[name]), name)
    except ModuleNotFoundError as missing:
        raise missing_extra(missing.name or "torch") from missing
