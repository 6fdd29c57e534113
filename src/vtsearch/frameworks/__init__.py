"""The training objectives: one module each, one base class, one table. Importing this package does not import torch.

A framework depends on features, labels, positions and its own state; on no data set, backbone, device or file.
One of the user's own is a subclass of ``Framework``: in a file, as ``my_file.py:MyLoss``, or registered by a name.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from vtsearch.errors import suggestion
from vtsearch.frameworks import own

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtsearch.frameworks.base import Framework

FRAMEWORKS: Mapping[str, str] = {
    "adsh": "ADSH",
    "bihalf": "BiHalf",
    "cibhash": "CIBHash",
    "crovca": "CroVCA",
    "csq": "CSQ",
    "dbdh": "DBDH",
    "dch": "DCH",
    "dfh": "DFH",
    "dhn": "DHN",
    "dpn": "DPN",
    "dpsh": "DPSH",
    "dsdh": "DSDH",
    "dsh": "DSH",
    "dtsh": "DTSH",
    "greedyhash": "GreedyHash",
    "hashnet": "HashNet",
    "hyp2": "HyP2",
    "idhn": "IDHN",
    "orthohash": "OrthoHash",
}
"""Command-line name, which is also the module, -> class."""

_registered: dict[str, type[Framework]] = {}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def framework_class(name: str) -> type[Framework]:
    """The framework of that name; imports its module, and so torch.

    Args:
        name: of the table or of a registered class; or a file of the user's with a class in it, which is run:
            ``my_file.py:MyLoss``.

    Raises:
        ValueError: an unknown name; the message lists the known ones. A file that fails or has no such class.
        OSError: a file that cannot be read.
        TypeError: a class in a file that is no framework, or lacks a part.
    """
    if name in FRAMEWORKS:
        chosen: type[Framework] = getattr(importlib.import_module(f"{__name__}.{name}"), FRAMEWORKS[name])
        return chosen
    if name in _registered:
        return _registered[name]
    if own.is_file(name):
        return own.load(name)
    known = [*FRAMEWORKS, *_registered]
    raise ValueError(
        f"framework: expected one of {', '.join(known)}, or FILE.py:CLASS, got {name!r}{suggestion(name, known)}"
    )


def register(name: str, kind: type[Framework]) -> None:
    """Give a framework of the user's own a name for ``TrainConfig(framework=name)``, in this process.

    Args:
        name: letters, digits, ``_`` and ``-``; a name that is registered already takes the new class.
        kind: a subclass of ``Framework``.

    Raises:
        ValueError: the name of a framework of vtsearch, or no name; a field of ``kind.Options`` without a default.
        TypeError: the class is no framework, or lacks a part.
    """
    if type(name) is not str or not _NAME.fullmatch(name):
        raise ValueError(f"name: expected letters, digits, '_' and '-', beginning with a letter, got {name!r}")
    if name.lower() in FRAMEWORKS:
        raise ValueError(f"name: expected another than those of vtsearch ({', '.join(FRAMEWORKS)}), got {name!r}")
    _registered[name] = own.checked(kind, f"framework {name!r}")


def __getattr__(name: str) -> Any:  # Framework: its module imports torch
    if name == "Framework":
        from vtsearch.frameworks.base import Framework as base  # noqa: N813, PLC0415

        return base
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
