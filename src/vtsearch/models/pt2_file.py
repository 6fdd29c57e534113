"""A model as a file of ``torch.export``: read by torch alone, with neither vtsearch nor timm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vtsearch.models.export import KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor
    from torch.export import ExportedProgram

    from vtsearch.models.hash_model import HashModel


def check(model: HashModel) -> None:
    """Nothing is refused: a file takes any model, and torch is there."""


def write(program: ExportedProgram, facts: str, path: Path) -> None:
    """Write a traced model, with its facts in the extra file ``vtsearch``."""
    with path.open("wb") as file:  # by its name, torch would ask for one that ends as .pt2
        torch.export.save(program, file, extra_files={KEY: facts})


def opened(path: Path) -> Callable[[Tensor], Tensor]:
    """The function of the file."""
    with path.open("rb") as file:
        module: Callable[[Tensor], Tensor] = torch.export.load(file).module()
    return module
