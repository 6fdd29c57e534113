"""``vtsearch info``: description of this installation or of a folder."""

from __future__ import annotations

import json
import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vtsearch import _native
from vtsearch._printable import printable
from vtsearch.cli.output import json_text, label_form
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.verification import verify
from vtsearch.data.skipped import SKIPPED, skipped_images
from vtsearch.errors import VtsearchError, installed_version
from vtsearch.exchange.hub import locate_model, may_be_model
from vtsearch.index import Index

EXAMPLE = """  vtsearch info
  vtsearch info codes/database --verify
  vtsearch info runs/cifar/final --json"""
PACKAGES = ("numpy", "torch", "torchvision", "timm", "accelerate", "matplotlib", "pillow", "pyarrow", "scikit-learn")


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("info", "Describe this installation, or a model, an index, a run or a report.", EXAMPLE)
    command.add_argument(
        "folder",
        nargs="?",
        help="a model, an index, a run or a report, or a model of the Hugging Face hub as user/name; by default this "
        "installation",
    )
    command.add_argument(
        "--verify",
        action="store_true",
        help="read every file of an index, a model or a run that has a checksum; exit code 2 names a damaged one",
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Describe; prints one line per fact."""
    args = parser().parse_args(argv)
    if args.verify and args.folder is None:
        raise ValueError("verify: expected the folder of an index, a model or a run, got none")
    if args.folder is None:
        facts = installation()
    else:
        folder = _located(args.folder)
        verified = {"verified": verify(folder)} if args.verify else {}
        facts = describe(folder) | verified
    print(json_text(facts) if args.json else _text(facts))
    return 0


def _located(word: str) -> Path:
    """The folder of that name, or the copy of a model of the hub."""
    return locate_model(word).folder if not Path(word).exists() and may_be_model(word) else Path(word)


def installation() -> dict[str, Any]:
    """The first lines of every bug report."""
    return {
        "vtsearch": installed_version("vtsearch"),
        "python": f"{platform.python_version()} ({platform.system()} {platform.machine()})",
        "instruction sets": _native.isas(),
        "active": _native.active_isa(),
        "VTSEARCH_ISA": os.environ.get("VTSEARCH_ISA", "not set"),
        "threads": _native.default_threads(),
        **{name: installed_version(name) or "not installed" for name in PACKAGES},
        "devices": _devices(),
        "VTSEARCH_DATA": os.environ.get("VTSEARCH_DATA", "not set"),
    }


def describe(folder: Path) -> dict[str, Any]:
    """The kind and content of a folder.

    Raises:
        FileNotFoundError: no such folder.
        VtsearchError: a folder of none of the known kinds.
    """
    if not folder.exists():
        raise FileNotFoundError(2, "no such folder", str(folder))
    kinds = {
        "index.sqlite": _index,
        "model.safetensors": _model,
        "config.yaml": _run_folder,
        "report.json": _report,
    }
    for name, describer in kinds.items():
        if (folder / name).is_file():
            return describer(folder)
    raise VtsearchError(f"{folder}: expected a model, an index, a run or a report (a folder with {', '.join(kinds)})")


def _index(folder: Path) -> dict[str, Any]:
    with Index.open(folder) as index:
        return {
            "index": str(folder),
            "items": len(index),
            "bits": index.bits,
            "segments": len(index.segments),
            **_tables(index),
            "labels": label_form(index.labels()),
            "classes": len(index.classes),
            **({"columns": _columns(index)} if index.columns() else {}),
            **{
                name if name == "arithmetic" else f"fingerprint of {name}": value
                for name, value in index.fingerprints.items()
            },
            **{name: value for name, value in index.description.items() if name != SKIPPED},
            **_skipped(index),
        }


def _tables(index: Index) -> dict[str, str]:
    """How many segments have tables of their codes, if any."""
    tabled = [segment for segment in index.segments if segment.tables]
    return {"tables": f"of {len(tabled)} segments"} if tabled else {}


def _columns(index: Index) -> dict[str, str]:
    """The columns of metadata with their types, and which have a B-tree."""
    return {name: kind + (", indexed" if name in index.indexed else "") for name, kind in index.columns().items()}


def _skipped(index: Index) -> dict[str, Any]:
    """The images that could not be read, with the reasons."""
    skipped = dict(skipped_images(index))
    return {"images that could not be read": skipped} if skipped else {}


def _model(folder: Path) -> dict[str, Any]:
    facts = {"model": str(folder), "megabytes": round((folder / "model.safetensors").stat().st_size / 1e6, 1)}
    return facts | _read_json(folder / "config.json")


def _run_folder(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"run": str(folder)}
    facts |= {name: (folder / name).is_dir() for name in ("last", "best", "final", "codes")}
    if (folder / "report.json").is_file():
        facts |= _report(folder)
    facts["configuration"] = _read_text(folder / "config.yaml").splitlines()
    return facts


def _report(folder: Path) -> dict[str, Any]:
    report = _read_json(folder / "report.json")
    try:
        return _scores(folder, report["evaluation"], report["context"])
    except (KeyError, TypeError) as error:
        raise VtsearchError(
            f"{folder / 'report.json'}: expected a report of vtsearch, got another JSON file"
        ) from error


def _scores(folder: Path, evaluation: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    return {
        "report": str(folder / "report.json"),
        **{name: context[name] for name in ("protocol", "split", "model", "framework", "backbone")},
        **{name: evaluation[name] for name in ("queries", "database", "bits", "k", "normalizer")},
        "mAP": evaluation["mean_average_precision"],
    }


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise VtsearchError(f"{path}: expected text in UTF-8, got something else") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise VtsearchError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(values, dict):
        raise VtsearchError(f"{path}: expected a JSON object, got {type(values).__name__}")
    return values


def _devices() -> list[str]:
    if find_spec("torch") is None:
        return ["cpu (torch is not installed: pip install 'vtsearch[train]')"]
    import torch

    return ["cpu", *(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))]


def _text(facts: dict[str, Any]) -> str:
    width = max(map(len, facts))
    lines = []
    for name, value in facts.items():
        first, *more = map(printable, _lines(value))
        lines += [f"{printable(name):<{width}}  {first}".rstrip(), *(f"{'':<{width}}  {line}" for line in more)]
    return "\n".join(lines)


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}: {part}" for name, part in value.items()] or ["-"]
    if isinstance(value, list):
        short = sum(len(str(part)) for part in value) < 60
        return [", ".join(map(str, value))] if short else list(map(str, value))
    return [str(value)]
