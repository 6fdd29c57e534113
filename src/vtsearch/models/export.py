"""A model as one file that needs no vtsearch: preprocessed images to features, for batches of any length.

The graph is traced once by ``torch.export``; ONNX is made of the same trace. Both files carry JSON under the key
``vtsearch``: what an image must go through, and how features become a code.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from vtsearch._atomic_io import placed_file
from vtsearch.errors import VtsearchError, first_line
from vtsearch.exchange.model_formats import checked_model_format
from vtsearch.exchange.transfer import check_file
from vtsearch.models.folder import load_model
from vtsearch.models.hash_model import HashModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from torch import Tensor
    from torch.export import ExportedProgram

KEY = "vtsearch"
INPUT, OUTPUT, BATCH = "images", "features", "batch"
TRACED = 2
"""Images of the traced batch: torch takes a length of 1 as fixed."""
COMPARED = (1, 3)
"""Images of the batches by which a file is compared with its model."""
TOLERANCE = 1e-3
"""Largest difference of features, as a share of the largest feature: other programs round otherwise."""


class ExportedModel(NamedTuple):
    """What an export of a model wrote."""

    format: str
    """"onnx" or "pt2"."""
    target: str
    bits: int
    image_size: int
    megabytes: float
    difference: float
    """The largest difference between a feature of the file and one of the model, on random images."""


class FileFormat(Protocol):
    """A module of one format."""

    def check(self, model: HashModel) -> None:
        """Refuse a model that it has no place for, and missing packages, before any work."""

    def write(self, program: ExportedProgram, facts: str, path: Path) -> None:
        """Write a traced model with its facts in JSON."""

    def opened(self, path: Path) -> Callable[[Tensor], Tensor]:
        """The function that a file holds, of images to features."""


def export_model(
    model: HashModel | str | Path,
    target: str | PathLike[str],
    format: str | None = None,  # noqa: A002 (the word for it everywhere)
    *,
    overwrite: bool = False,
) -> ExportedModel:
    """Write a model for another program; the file is compared with the model before it takes its name.

    It computes float32 features (b, bits) of preprocessed images, float32 (b, 3, image_size, image_size), for any b.
    Bit i of a code is ``feature[i] > 0``. An HashModel itself is left as it was.

    Args:
        model: a model, the folder of one, or ``user/name`` of the Hugging Face hub.
        target: the file to write.
        format: "onnx" or "pt2" (``torch.export``); by default what the target's name tells.
        overwrite: whether a file of that name is replaced.

    Raises:
        FileExistsError: the target exists, and ``overwrite`` is false.
        FileNotFoundError: no such model, or no folder to write the target into.
        ModuleNotFoundError: a package is missing; the message names the extra that brings it.
        ValueError: an unknown format, or a model of more weights than it holds.
        VtsearchError: the folder is not a model, or the file's features are not the model's.
        OSError: a file that cannot be written.
    """
    target = os.fspath(target)
    name = checked_model_format(target, format)
    check_file(Path(target), overwrite=overwrite)
    file_format = _module(name)
    # a copy, as it goes to the CPU, into float32 and into mode eval
    model = copy.deepcopy(model).cpu().float().eval() if isinstance(model, HashModel) else load_model(model)
    file_format.check(model)
    with placed_file(Path(target), overwrite=overwrite) as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters, about their own workings
        file_format.write(_traced(model), json.dumps(facts(model)), path)
        difference = _difference(model, file_format.opened(path), target)
    megabytes = round(Path(target).stat().st_size / 1e6, 1)
    return ExportedModel(name, target, model.bits, model.preprocessing.image_size, megabytes, difference)


def facts(model: HashModel) -> dict[str, Any]:
    """What a program needs beside the graph: preprocessing, threshold rule and bit order, and which model it is."""
    return {
        "format": 1,
        "bits": model.bits,
        "threshold": "feature > 0",
        "bit_order": "big",
        "preprocessing": model.preprocessing.to_dict(),
        "fingerprint": model.fingerprint(),
        "backbone": model.config.backbone,
    }


def _module(name: str) -> FileFormat:
    module: Any = importlib.import_module(f"vtsearch.models.{name}_file")
    loaded: FileFormat = module
    return loaded


def _traced(model: HashModel) -> ExportedProgram:
    """The graph of a model, with the length of the batch left open.

    Raises:
        VtsearchError: a network that torch cannot trace.
    """
    images = _random_images(model, TRACED)
    with torch.no_grad():
        model(images)  # what a model decides by the device of its first images is not to be part of the graph
        try:
            return torch.export.export(model, (images,), dynamic_shapes={INPUT: {0: torch.export.Dim(BATCH)}})
        except Exception as reason:  # torch has no common class for what it cannot trace
            backbone = model.config.backbone
            raise VtsearchError(f"{backbone}: torch cannot export it ({first_line(reason)})") from reason


def _difference(model: HashModel, function: Callable[[Tensor], Tensor], target: str) -> float:
    """The largest difference between the features of a file and those of its model.

    Raises:
        VtsearchError: it is more than rounding.
    """
    largest = 0.0
    for count in COMPARED:
        images = _random_images(model, count)
        with torch.no_grad():
            expected, found = model(images), function(images)
        difference = float((expected - found).abs().max()) if expected.shape == found.shape else float("nan")
        if not difference <= (bound := TOLERANCE * float(expected.abs().max())):  # also for NaN
            raise VtsearchError(
                f"{target}: expected the features of the model to {bound:.2g}, got a difference of {difference:.2g}; "
                "no file was written"
            )
        largest = max(largest, difference)
    return largest


def _random_images(model: HashModel, count: int) -> Tensor:
    """Preprocessed noise, float32 (count, 3, image_size, image_size); always the same."""
    size = model.preprocessing.image_size
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(count))
    return model.preprocessing.normalize(pixels.to(torch.uint8))
