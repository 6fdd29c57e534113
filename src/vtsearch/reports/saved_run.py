"""A finished run, read from its folder without torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._json import read_checked, read_json, read_json_lines
from vtsearch._yaml import read_yaml
from vtsearch.errors import VtsearchError
from vtsearch.evaluation import Evaluation
from vtsearch.reports import run_files as files
from vtsearch.reports.markdown import JSON_FILE, ReportContext

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 2**26
"""Largest file of scores that is read."""
MOST_SPLIT_BYTES = 2**30
DIGITS = 8
"""Of the fingerprint of a framework's file."""


@dataclass(frozen=True)
class TrainingOverlap:
    """How many training images the database holds."""

    training: int
    database: int
    shared: int


@dataclass(frozen=True, eq=False)
class SavedRun:
    """What a finished run left in its folder, as far as a report shows it."""

    folder: Path
    config: Mapping[str, Any]
    """config.yaml, with dotted names; of a path its last part; the fingerprint of a framework of the user's own."""
    environment: Mapping[str, Any]
    """env.json, with dotted names."""
    result: Mapping[str, Any]
    """result.json; empty while it is being written."""
    events: tuple[Mapping[str, Any], ...]
    """metrics.jsonl."""
    context: ReportContext
    last: Evaluation
    """Of the final model."""
    best: Evaluation
    """Of the model in best/, on the same queries."""
    overlap: TrainingOverlap | None
    """None without split.json."""


def read_run(folder: Path, result: Mapping[str, Any] | None = None) -> SavedRun:
    """A finished run.

    Args:
        folder: of the run.
        result: the content of its result.json, if that is not written yet.

    Raises:
        VtsearchError: a run that is not finished, files that are not those of a run.
    """
    if result is None:
        result = _result(folder)
    report = read_json(folder / JSON_FILE, MOST_BYTES)
    best = folder / files.BEST_SCORES
    try:
        last = Evaluation.from_dict(report["evaluation"])
        context = _context(report["context"])
        chosen = Evaluation.from_dict(read_checked(best, MOST_BYTES)["evaluation"]) if best.is_file() else last
        config = shortened(dotted(read_yaml(folder / files.CONFIG))) | _source(folder / files.FRAMEWORK)
        overlap = _overlap(folder / files.SPLIT)
    except (KeyError, TypeError, ValueError, AttributeError) as reason:
        raise VtsearchError(f"{folder}: expected the files of a run, got others ({reason})") from reason
    return SavedRun(
        folder=folder,
        config=config,
        environment=dotted(_optional(folder / files.ENVIRONMENT)),
        result=result,
        events=tuple(_events(folder / files.METRICS)),
        context=context,
        last=last,
        best=chosen,
        overlap=overlap,
    )


def _result(folder: Path) -> Mapping[str, Any]:
    if not (folder / files.RESULT).is_file():
        raise VtsearchError(f"{folder}: the run is not finished; continue it with vtsearch train --resume")
    return read_checked(folder / files.RESULT, MOST_BYTES)


def _context(values: Mapping[str, Any]) -> ReportContext:
    known = {each.name for each in fields(ReportContext)}
    return ReportContext(**{name: value for name, value in values.items() if name in known})


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path, MOST_BYTES) if path.is_file() else {}


def _events(path: Path) -> list[dict[str, Any]]:
    return read_json_lines(path) if path.is_file() else []


def _source(path: Path) -> dict[str, Any]:
    """What tells versions of a framework of the user's own apart."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]} if path.is_file() else {}


def _overlap(path: Path) -> TrainingOverlap | None:
    if not path.is_file():
        return None
    split = read_json(path, MOST_SPLIT_BYTES)
    train, database = (np.asarray(split.get(name, []), dtype=np.int64) for name in ("train", "database"))
    return TrainingOverlap(len(train), len(database), len(np.intersect1d(train, database)))


def dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of mappings as one, ``{"optimizer": {"lr": 1}}`` as ``{"optimizer.lr": 1}``."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def shortened(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the folders of absolute paths: a report does not tell where its writer's files are."""
    return {name: short_path(value) if isinstance(value, str) else value for name, value in config.items()}


def short_path(text: str) -> str:
    """The last part of an absolute path; any other text as it is."""
    return f".../{PurePath(text).name}" if PurePath(text).is_absolute() and "\n" not in text else text


def digest(*texts: str) -> str:
    """A fingerprint of some texts."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
