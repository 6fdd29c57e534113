"""A model on its way to other nodes: the files of its folder, of which nothing is executed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.models.folder import load_model, write_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtsearch.models import HashModel


def model_files(model: HashModel) -> dict[str, bytes]:
    """The files of a model, by name."""
    with tempfile.TemporaryDirectory(prefix="vtsearch-") as folder:
        write_model(model, Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def model_of(files: Mapping[str, bytes]) -> HashModel:
    """The model of these files, on the CPU and in evaluation mode.

    Raises:
        VtsearchError: files that are no model.
    """
    with tempfile.TemporaryDirectory(prefix="vtsearch-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return load_model(folder)
