"""Arguments of the commands that begin with the weights of a backbone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ActionYesNo

from vtsearch.models.backbones import is_known

if TYPE_CHECKING:
    from vtsearch.cli.parser import CommandParser


def add_pretrained_argument(command: CommandParser) -> None:
    """``--pretrained`` and ``--no-pretrained``."""
    command.add_argument(
        "--pretrained", action=ActionYesNo(no_prefix="no-"), default=True, help="start from pretrained backbone weights"
    )


def backbone_of(weights: str | None) -> str | None:
    """The backbone that a file of weights is named after, if it is."""
    name = Path(weights or "").name.removesuffix(".safetensors").removesuffix(".pth")
    return name if is_known(name) else None
