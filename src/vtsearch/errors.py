"""Exceptions of vtsearch, and the sentences that several of its errors share."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from typing import Any


class VtsearchError(Exception):
    """Incompatible, damaged or mislabeled files: a corrupt index, fingerprints that differ."""


class UnavailableError(VtsearchError):
    """What an answer needs cannot be reached now, such as a shard: without it the answer would be incomplete."""


_EXTRAS = {
    "plot": ("matplotlib",),
    "faiss": ("faiss",),
    "parquet": ("pyarrow",),
    "postgres": ("psycopg",),
    "mat": ("scipy",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "ray": ("ray",),
    "serve": ("fastapi", "uvicorn", "httptools", "multipart", "python_multipart", "prometheus_client"),
    "train": (
        "torch",
        "torchvision",
        "timm",
        "accelerate",
        "safetensors",
        "huggingface_hub",
        "sklearn",
        "PIL",
        "tqdm",
    ),
}


def extra_of(module: str) -> str | None:
    """The extra that brings a module, or None: what belongs to no extra is not the user's to install."""
    package = module.partition(".")[0]
    return next((extra for extra, packages in _EXTRAS.items() if package in packages), None)


def missing_extra(module: str) -> ModuleNotFoundError:
    """The error to raise where a module is missing that an extra brings: it names the command that installs it."""
    package = module.partition(".")[0]
    extra = extra_of(module) or "all"
    return ModuleNotFoundError(f"needs {package}: pip install 'vtsearch[{extra}]'", name=module)


def require_extra(module: str) -> Any:
    """Import a module of an optional extra.

    Raises:
        ModuleNotFoundError: the module is not installed; the message names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise missing_extra(module) from missing


def installed_version(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or else its class: the errors of libraries may have many lines."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """``did you mean 'csq'?`` for a misspelt name, or nothing if no known name is close; flags are not quoted."""
    close = [each if each.startswith("-") else repr(each) for each in get_close_matches(name, list(known), n=most)]
    return f"did you mean {' or '.join(close)}?" if close else ""


def suggestion(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """`` (did you mean 'csq'?)`` to append to a message, or nothing if no known name is close."""
    hint = did_you_mean(name, known, most=most)
    return f" ({hint})" if hint else ""
