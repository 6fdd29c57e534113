"""A model as an ONNX file: its graph in the standard operators, weights inside, read by ONNX Runtime and others.

Source: https://onnx.ai/onnx/intro/concepts.html; the exporter is torch's, https://docs.pytorch.org/docs/stable/onnx.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vtsearch.errors import VtsearchError, first_line, require_extra
from vtsearch.models.export import BATCH, INPUT, KEY, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor
    from torch.export import ExportedProgram

    from vtsearch.models.hash_model import HashModel

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MOST_BYTES = 2**31 - 2**24
"""Of weights: a file is one message of protobuf, which is smaller than 2 GiB; the rest is for the graph."""


def check(model: HashModel) -> None:
    """Refuse a model that is too large for one file, and missing packages.

    Raises:
        ModuleNotFoundError: a package is missing; the message names the extra that brings it.
        ValueError: the model is too large.
    """
    for package in PACKAGES:
        require_extra(package)
    needed = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    if needed > MOST_BYTES:
        raise ValueError(
            f"format: expected a model of less than 2 GiB for onnx, got weights of {needed / 2**30:.1f} GiB; "
            "pt2 takes it"
        )


def write(program: ExportedProgram, facts: str, path: Path) -> None:
    """Write a traced model, with its facts under the metadata's key ``vtsearch``.

    Raises:
        VtsearchError: a network with an operator that ONNX does not have.
    """
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: BATCH}},
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as reason:
        raise VtsearchError(f"format: torch cannot write this model as onnx ({first_line(reason)})") from reason
    assert exported is not None
    exported.model.metadata_props[KEY] = facts
    exported.save(str(path), external_data=False)


def opened(path: Path) -> Callable[[Tensor], Tensor]:
    """The function of the file, as ONNX Runtime computes it on the CPU."""
    session = require_extra("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def features(images: Tensor) -> Tensor:
        (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(found)

    return features
