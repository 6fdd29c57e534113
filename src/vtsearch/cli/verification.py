"""Comparison of a folder's files with the checksums that they were written with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def verify(folder: Path) -> str:
    """Read every file of an index, a model or a run that has a checksum; the answer names what was compared.

    Raises:
        VtsearchError: a damaged file, by its name, or a folder of another kind.
        OSError: a file that cannot be read.
    """
    kinds: dict[str, Callable[[Path], str]] = {
        "index.sqlite": _index,
        "model.safetensors": _model,
        "config.yaml": _run_folder,
    }
    for name, verifier in kinds.items():
        if (folder / name).is_file():
            return f"{verifier(folder)}: as written"
    raise VtsearchError(f"{folder}: expected an index, a model or a run (a folder with {', '.join(kinds)})")


def _index(folder: Path) -> str:
    with Index.open(folder) as index:
        index.verify()
        return f"index.sqlite and {sum(len(segment.files) for segment in index.segments)} files"


def _model(folder: Path) -> str:
    from vtsearch.models import load_model

    load_model(folder)
    return "weights and preprocessing"


def _run_folder(folder: Path) -> str:
    from vtsearch.training import run_folder as files
    from vtsearch.training.checkpoint import load_state
    from vtsearch.training.result import read_best, read_result

    verifiers: dict[str, Callable[[Path], object]] = {
        files.LAST: load_state,
        files.BEST: _model,
        files.FINAL: _model,
        f"{files.CODES}/query": _index,
        f"{files.CODES}/database": _index,
        files.RESULT: lambda _: read_result(folder),
        files.BEST_SCORES: lambda _: read_best(folder),
    }
    if (folder / files.RESULT).exists() and (missing := files.missing_parts(folder)):
        raise VtsearchError(f"{folder}: expected {', '.join(missing)} of a finished run, there is none")
    found = [name for name in verifiers if (folder / name).exists()]
    for name in found:
        verifiers[name](folder / name)
    return ", ".join(found) or "nothing yet"
