"""The folder of a run: its files, and the checks before a run starts or resumes in it.

- config.yaml: the complete configuration
- env.json: versions, instruction set, threads, device
- split.json: positions of queries, training set and database
- metrics.jsonl: losses, scores and times
- last/: the last checkpoint
- best/, final/: model folders: weights, configuration and preprocessing
- best.json: the scores of best/ on the protocol's queries
- codes/: indexes of the final model's codes: query, database
- result.json: the scores; written when the run is finished
- report.json, report.md, pr_curve.png, retrievals.png
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch
import yaml  # type: ignore[import-untyped]

from vtsearch import _native
from vtsearch._atomic_io import write_file
from vtsearch.data import Split, save_split
from vtsearch.errors import VtsearchError
from vtsearch.training.config import FREE_ON_RESUME, TrainConfig, differing_keys, flat, look_up

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "config.yaml"
ENVIRONMENT = "env.json"
SPLIT = "split.json"
METRICS = "metrics.jsonl"
LAST = "last"
BEST = "best"
BEST_SCORES = "best.json"
FINAL = "final"
CODES = "codes"
RESULT = "result.json"

_PACKAGES = ("vtsearch", "numpy", "torch", "torchvision", "timm", "accelerate")


def check(folder: Path, config: TrainConfig, *, resume: bool) -> None:
    """Refuse a folder in which this run can neither start nor resume.

    Raises:
        FileExistsError: the folder is not empty, without `resume`.
        VtsearchError: the folder holds no run, or a run of another configuration.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not resume:
        raise FileExistsError(f"output: {folder} is not empty; continue it with --resume, or choose another --output")
    saved, wanted = read_config(folder), plain(config)
    differing = [key for key in differing_keys(saved, wanted) if key not in FREE_ON_RESUME]
    if differing:
        key, more = differing[0], f" (and {', '.join(differing[1:])} differ too)" if differing[1:] else ""
        raise VtsearchError(
            f"{key}: the run in {folder} has {look_up(saved, key)!r}, this configuration {look_up(wanted, key)!r}"
            f"{more}; continue the run as it was begun, or choose another --output"
        )


def claim(folder: Path, config: TrainConfig, split: Split) -> None:
    """Create the folder of a run with its split, environment and configuration; config.yaml comes last."""
    if (folder / CONFIG).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    save_split(split, folder / SPLIT)
    write_file(folder / ENVIRONMENT, (json.dumps(environment(), indent=1) + "\n").encode())
    write_file(folder / CONFIG, yaml.safe_dump(plain(config), sort_keys=False).encode())


def plain(config: TrainConfig) -> dict[str, Any]:
    """The configuration as in config.yaml: mappings, lists, strings and numbers."""
    tree: dict[str, Any] = json.loads(json.dumps(flat(config), default=os.fspath))
    return tree


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration tree of a run.

    Raises:
        VtsearchError: the folder is not a run.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise VtsearchError(f"output: {folder} is not a run (it has no {CONFIG}); choose another --output")
    return read_yaml(path)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        TypeError: the file holds no mapping.
        VtsearchError: the file is not YAML.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as reason:
        line = str(reason).partition("\n")[0]
        raise VtsearchError(f"{path}: expected YAML, got something else ({line})") from reason
    if not isinstance(tree, dict):
        raise TypeError(f"config: expected names and values in {path}, got {type(tree).__name__}")
    return tree


def environment() -> dict[str, Any]:
    """Other influences on the numbers of a run: versions, instruction set, threads, device."""
    gpu = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "isa": _native.active_isa(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if gpu else torch.backends.cpu.get_cpu_capability(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
