"""The files that a model is exported to, by name; no torch is needed to tell them from those of an index."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from vtsearch.errors import suggestion
from vtsearch.exchange.hub import CONFIG, WEIGHTS

ModelFormat = Literal["onnx", "pt2"]
MODEL_FORMATS: tuple[ModelFormat, ...] = get_args(ModelFormat)
"""Each is also the ending of the names of its files."""


def model_format(target: str, name: str | None) -> ModelFormat | None:
    """The format of a model's file that is asked for, or else that of a path; None if it is not one of a model."""
    asked = Path(target).suffix.lower().removeprefix(".") if name is None else name
    return next((each for each in MODEL_FORMATS if each == asked), None)


def checked_model_format(target: str, name: str | None, what: str = "a model") -> ModelFormat:
    """As ``model_format``; messages say what is to be written.

    Raises:
        ValueError: none of a model's file.
    """
    found = model_format(target, name)
    if found is not None:
        return found
    if name is not None:
        hint = suggestion(name, MODEL_FORMATS)
        raise ValueError(f"format: expected one of {', '.join(MODEL_FORMATS)} for {what}, got {name!r}{hint}")
    endings = ", ".join(f".{each}" for each in MODEL_FORMATS)
    raise ValueError(f"target: expected a file that ends as {endings} for {what}, got {target!r}")


def is_model_folder(path: str | Path) -> bool:
    """Whether a folder holds the files of a model."""
    return all((Path(path) / name).is_file() for name in (CONFIG, WEIGHTS))
