"""The folder of a run: its files, and the checks before a run starts or resumes in it.

- config.yaml: the complete configuration
- framework.py: a copy of the file, or of the class, of a framework of the user's own
- env.json: versions, instruction set, threads, device
- split.json: positions of queries, training set and database
- metrics.jsonl: losses, scores and times
- trackers.json, tensorboard/, wandb/: of trackers that show these lines too
- last/: the last checkpoint
- best/, final/: model folders: weights, configuration and preprocessing
- best.json: the scores of best/ on the protocol's queries
- codes/: indexes of the final model's codes: query, database
- result.json: the scores; written when the run is finished
- .lock: while a process trains in the folder: which one
- report.html, report.json, report.md, pr_curve.png, retrievals.png
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch
import yaml  # type: ignore[import-untyped]

from vtsearch import _native
from vtsearch._atomic_io import put_back, remove_leftovers, write_file, writer_lock
from vtsearch._file_lock import FileLock
from vtsearch._yaml import read_yaml
from vtsearch.data import Split, save_split
from vtsearch.errors import VtsearchError, installed_version
from vtsearch.frameworks import framework_class, own
from vtsearch.reports import run_files
from vtsearch.training.config import FREE_ON_RESUME, TrainConfig, flat
from vtsearch.training.trees import differing_keys, look_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = run_files.CONFIG
ENVIRONMENT = run_files.ENVIRONMENT
FRAMEWORK = run_files.FRAMEWORK
SPLIT = run_files.SPLIT
METRICS = run_files.METRICS
LAST = "last"
BEST = "best"
BEST_SCORES = run_files.BEST_SCORES
FINAL = "final"
CODES = run_files.CODES
RESULT = run_files.RESULT
LOCK = ".lock"
REPORTS = ("report.html", "report.json", "report.md")
WRITTEN = (CONFIG, ENVIRONMENT, FRAMEWORK, SPLIT, LAST, BEST, BEST_SCORES, FINAL, CODES, RESULT, *REPORTS)
"""Everything in a run folder that appears as a whole."""

_PACKAGES = ("vtsearch", "numpy", "torch", "torchvision", "timm", "accelerate")


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a run folder, which is made if it is missing: one process at a time trains in it.

    What killed processes left unfinished in it is deleted. Folders that were made and stay empty are removed.

    Raises:
        BlockingIOError: another process trains in it; the message names the process.
        OSError: the folder cannot be made or written to.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, f"output: {folder}").acquire() as held:
            if held.is_exclusive:
                _clean_up(folder)
            yield
    finally:
        for each in made:
            with suppress(OSError):
                each.rmdir()


def check(folder: Path, config: TrainConfig, *, resume: bool) -> None:
    """Refuse a folder in which this run can neither start nor resume.

    Raises:
        FileExistsError: the folder is not empty, without `resume`.
        VtsearchError: the folder holds no run, or a run of another configuration or of another source of its framework.
    """
    if is_free(folder):
        return
    if not resume:
        raise FileExistsError(f"output: {folder} is not empty; continue it with --resume, or choose another --output")
    saved, wanted = read_config(folder), plain(config)
    if _is_moved(str(saved.get("framework")), config.framework):
        saved["framework"] = config.framework  # its content decides
    free = FREE_ON_RESUME | ({"epochs"} if _is_longer(saved, config) else set())
    differing = [key for key in differing_keys(saved, wanted) if key not in free]
    if differing:
        key, more = differing[0], f" (and {', '.join(differing[1:])} differ too)" if differing[1:] else ""
        raise VtsearchError(
            f"{key}: the run in {folder} has {look_up(saved, key)!r}, this configuration {look_up(wanted, key)!r}"
            f"{more}; continue the run as it was begun, or choose another --output"
        )
    _check_source(folder, config)


def _is_longer(saved: dict[str, Any], config: TrainConfig) -> bool:
    """Whether a configuration has more epochs than the run."""
    epochs = saved.get("epochs")
    return type(epochs) is int and epochs < config.epochs


def _is_moved(saved: str, wanted: str) -> bool:
    """Whether two names are of one class, in a file that may have moved."""
    return own.is_file(saved) and own.is_file(wanted) and own.class_name(saved) == own.class_name(wanted)


def _check_source(folder: Path, config: TrainConfig) -> None:
    """Refuse a framework of the user's own whose source has changed: the numbers would be those of two objectives."""
    kept, source = folder / FRAMEWORK, own.source_of(framework_class(config.framework))
    saved = kept.read_bytes() if kept.is_file() else None
    if saved != source:
        raise VtsearchError(
            f"framework: {config.framework} ({_digest(source)}) is not what the run in {folder} was begun with, "
            f"{kept} ({_digest(saved)}); put that back, or choose another --output"
        )


def _digest(source: bytes | None) -> str:
    return "no source" if source is None else f"sha256 {hashlib.sha256(source).hexdigest()[:12]}"


def is_free(folder: Path) -> bool:
    """Whether no run has claimed the folder, and nothing else is in it: it is missing, empty, or a claim was killed.

    config.yaml completes a claim. The lock of a killed process shows that what precedes config.yaml is of a claim.
    """
    if not folder.is_dir():
        return not folder.exists()
    names = {each.name for each in folder.iterdir()}
    ours = (CONFIG, SPLIT, ENVIRONMENT, FRAMEWORK)
    rest = {name for name in names if name != LOCK and not name.startswith(tuple(f".{name}." for name in ours))}
    return not rest or (LOCK in names and rest <= {SPLIT, ENVIRONMENT, FRAMEWORK})


def is_claimed(folder: Path) -> bool:
    """Whether a run has been started in the folder."""
    return (folder / CONFIG).is_file()


def claim(folder: Path, config: TrainConfig, split: Split, source: bytes | None = None) -> None:
    """Write the split, environment, framework and configuration of a run to its folder, whose ``lock`` is held.

    config.yaml comes last: before it appears, the folder is free for any run.

    Args:
        folder: of the run.
        config: the complete run.
        split: of its data.
        source: of a framework of the user's own.
    """
    if is_claimed(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        save_split(split, folder / SPLIT)
        write_file(folder / ENVIRONMENT, (json.dumps(environment(), indent=1) + "\n").encode())
        if source is None:
            (folder / FRAMEWORK).unlink(missing_ok=True)  # of a claim that was killed
        else:
            write_file(folder / FRAMEWORK, source)
        _write_config(folder, plain(config))
    except BaseException:
        for name in (SPLIT, ENVIRONMENT, FRAMEWORK):
            (folder / name).unlink(missing_ok=True)
        raise


def lengthen(folder: Path, config: TrainConfig) -> None:
    """Write the number of epochs to config.yaml, if the run had fewer."""
    if _is_longer(saved := read_config(folder), config):
        _write_config(folder, saved | {"epochs": config.epochs})


def _write_config(folder: Path, tree: dict[str, Any]) -> None:
    write_file(folder / CONFIG, yaml.safe_dump(tree, sort_keys=False).encode())


def missing_parts(folder: Path) -> list[str]:
    """Folders of a finished run that are not there."""
    return [name for name in (BEST, FINAL, CODES) if not (folder / name).is_dir()]


def _clean_up(folder: Path) -> None:
    """Put back and delete what killed processes left between two renames or unfinished."""
    left = {each.name.split(".")[1] for each in folder.iterdir() if each.name.startswith(".") and each.name != LOCK}
    for path in (folder / name for name in WRITTEN if name.split(".")[0] in left):
        with writer_lock(path):
            put_back(path)
            remove_leftovers(path)


def config_fingerprint(config: TrainConfig, source: bytes | None = None) -> str:
    """sha256 of the values on which the numbers of a run depend.

    Args:
        config: the complete run.
        source: of a framework of the user's own; it counts in place of where its file is.
    """
    tree = {name: value for name, value in plain(config).items() if name not in FREE_ON_RESUME}
    if source is not None:
        tree["framework"] = [own.class_name(config.framework), hashlib.sha256(source).hexdigest()]
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


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


def environment() -> dict[str, Any]:
    """Other influences on the numbers of a run: versions, instruction set, threads, device."""
    gpu = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed_version(name) for name in _PACKAGES},
        "isa": _native.active_isa(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if gpu else torch.backends.cpu.get_cpu_capability(),
    }
