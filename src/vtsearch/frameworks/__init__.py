"""The training objectives: one module each, one base class, one table. Importing this package does not import torch.

A framework depends on features, labels, positions and its own state; on no data set, backbone, device or file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from vtsearch.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtsearch.frameworks.base import Framework

FRAMEWORKS: Mapping[str, str] = {
    "adsh": "ADSH",
    "csq": "CSQ",
    "dch": "DCH",
    "dfh": "DFH",
    "dhn": "DHN",
    "dpn": "DPN",
    "dpsh": "DPSH",
    "dsh": "DSH",
    "dtsh": "DTSH",
    "greedyhash": "GreedyHash",
    "hashnet": "HashNet",
    "idhn": "IDHN",
    "orthohash": "OrthoHash",
}
"""Command-line name, which is also the module, -> class."""


def framework_class(name: str) -> type[Framework]:
    """The framework of that name; imports its module, and so torch.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if name not in FRAMEWORKS:
        hint = suggestion(name, FRAMEWORKS)
        raise ValueError(f"framework: expected one of {', '.join(FRAMEWORKS)}, got {name!r}{hint}")
    chosen: type[Framework] = getattr(importlib.import_module(f"{__name__}.{name}"), FRAMEWORKS[name])
    return chosen
