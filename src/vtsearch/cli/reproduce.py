"""``vtsearch reproduce``: a table of the paper, or any grid of runs, beside the published numbers."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from vtsearch.cli import one_line
from vtsearch.cli.parser import CommandParser, house_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.reproduction import Axes, GridFolder, Recipe
    from vtsearch.reproduction.grid import Cell
    from vtsearch.reproduction.grid_folder import Request
    from vtsearch.reproduction.results import Collection

EXAMPLE = """  vtsearch reproduce --table 1 --protocols cifar10@54000 --bits 16 --frameworks csq --backbones vts32
  vtsearch reproduce --table 3 --seeds 3 --output runs/table3 --dry-run
  vtsearch reproduce --output runs/table3                 (goes on with what was asked for there)
  vtsearch reproduce --output runs/table3 --report-only
  vtsearch reproduce --protocols digits --backbones vit_tiny_patch16_224 --frameworks csq,hashnet --bits 16,32 \\
      --seeds 2 --preset modern --image_size 32 --no-pretrained --epochs 5 --output runs/digits

Any option of vtsearch train changes the recipe of all cells, and the reports say so: see vtsearch train --help."""

DESCRIPTION = "Run a grid of trainings, one after the other, and set their numbers beside the published ones."
NOT_DONE = 1
AXES = ("protocols", "backbones", "features", "frameworks", "bits", "seeds")
DEFAULT_OUTPUT = "runs/reproduction"
DECIDED = {"head": "--features", "seed": "--seeds", "output": None, "resume": None, "config": None}
"""Options of train that a grid decides, and the flag that does."""


def run(argv: list[str]) -> int:
    """Do the runs that are not done and write the reports; 1 if some are missing after that."""
    if {"-h", "--help"} & set(argv):
        parser().print_help()
        return 0
    given, others = _words(argv)
    _check_flags(others)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "WORLD_SIZE: expected one process per grid run, got several; start the command once for every GPU "
            "(CUDA_VISIBLE_DEVICES), with the same --output: they share the cells"
        )
    from vtsearch.reproduction import GridFolder

    place = GridFolder(given["output"])
    asked = _request(given, others, place)
    if given["dry_run"]:
        return _plan(place, asked, as_json=given["json"])
    return _work(place, asked, given)


def parser() -> CommandParser:
    """The words that this command understands."""
    words = CommandParser("reproduce", DESCRIPTION, EXAMPLE)
    for flags, settings in _flags():
        words.add_argument(*flags, **settings)
    return words


def _flags() -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    return [
        (("--table",), {"help": "published table whose axes are taken: 1, 2 or 3; by default those of table 1"}),
        (("--protocols", "--protocol"), {"help": "such as cifar10@54000,cifar10@all"}),
        (("--backbones", "--backbone"), {"help": "alexnet, resnet50, vts32, vts16, or names of timm"}),
        (("--features",), {"help": "all, cls: what the head sees of a Vision Transformer"}),
        (("--frameworks", "--framework"), {"help": "training objectives, such as csq,hashnet"}),
        (("--bits",), {"help": "code lengths, such as 16,32,64"}),
        (("--seeds",), {"help": "how many runs per cell (0, 1, ...), or a list such as 3,7; by default 1"}),
        (("--preset",), {"help": "recipe: paper (the default) repeats the published one, modern is ours"}),
        (("--data",), {"help": "folder that holds the data sets; by default $VTSEARCH_DATA"}),
        (("--output",), {"default": DEFAULT_OUTPUT, "help": "folder of the grid; one that was begun is continued"}),
        (("--dry-run",), {"action": "store_true", "help": "list the cells and do nothing"}),
        (("--report-only",), {"action": "store_true", "help": "write the reports of what is there and run nothing"}),
        (("--json",), {"action": "store_true", "help": "print JSON"}),
    ]


class _OwnWords(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(house_style(message, []))


def _words(argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The words of this command, and those of train."""
    words = _OwnWords(add_help=False, allow_abbrev=False)
    for flags, settings in _flags():
        words.add_argument(*flags, **settings)
    known, others = words.parse_known_args(argv)
    return vars(known), others


# ---------------------------------------------------------------------------------------------------------------------
# What is asked for


def _request(given: dict[str, Any], others: list[str], place: GridFolder) -> _Asked:
    """What the words ask for; without any, what was asked for before."""
    from vtsearch.reproduction import Recipe, axes_of

    before = place.request()
    chosen = {name: _list(name, given[name]) for name in AXES if given[name] is not None}
    nothing_new = not chosen and given["table"] is None
    if given["report_only"] and not nothing_new:
        raise ValueError("report_only: expected the reports of the whole grid, got a choice of cells")
    if before is None and given["report_only"]:
        raise FileNotFoundError(f"output: no grid in {place.path}")
    if before is not None and nothing_new:
        axes, cells = None, before.cells()
    else:
        axes = axes_of(_table(given["table"]), chosen.pop("seeds", [0]), **chosen)
        cells = list(axes.cells())
    if before is not None and given["preset"] is None and not others:
        recipe = before.recipe
    else:
        recipe = Recipe(given["preset"] or "paper", _changes(given["preset"] or "paper", cells, others))
    data = given["data"] or (None if before is None else before.data)
    return _Asked(recipe, axes, data, before)


class _Asked:
    """A request that is checked, and not yet written."""

    def __init__(self, recipe: Recipe, axes: Axes | None, data: str | None, before: Request | None) -> None:
        from vtsearch.reproduction import cell_config

        self.recipe, self.axes, self.data = recipe, axes, data
        if axes is not None:
            self.cells = list(axes.cells())
        else:
            self.cells = [] if before is None else before.cells()
        for cell in self.cells:  # a mistake in what was asked stops here, and not in every run
            _check_backbone(cell.backbone)
            cell_config(cell, recipe, data)
        weights = recipe.changed.get("weights")
        if weights and len({cell.backbone for cell in self.cells}) > 1:
            raise ValueError("weights: expected one backbone with --weights, got several")

    def keep(self, place: GridFolder) -> Request:
        """Write it into the grid's folder."""
        from vtsearch.reproduction.grid_folder import Request

        before = place.request()
        if self.axes is None:
            assert before is not None
            if str(before.recipe) == str(self.recipe):
                return Request(self.recipe, before.axes, self.data)
            return place.ask(self.recipe, before.axes[0], self.data)  # refuses another recipe
        return place.ask(self.recipe, self.axes, self.data)


def _table(word: str | None) -> int | None:
    if word is None:
        return None
    if word not in {"1", "2", "3"}:
        raise ValueError(f"table: expected one of 1, 2, 3, got {word!r}")
    return int(word)


def _list(name: str, text: str) -> list[Any]:
    """Values between commas; of seeds, a single number says how many."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if name not in {"bits", "seeds"}:
        return words
    if not words or not all(word.isdecimal() for word in words):
        raise ValueError(f"{name}: expected whole numbers between commas, got {text!r}")
    numbers = [int(word) for word in words]
    return list(range(numbers[0])) if name == "seeds" and "," not in text else numbers


def _check_backbone(name: str) -> None:
    import timm

    from vtsearch.models.backbones import SHORT_NAMES, is_known

    if not is_known(name):
        close = difflib.get_close_matches(name, [*SHORT_NAMES, *timm.list_models(), *timm.list_pretrained()], n=2)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise ValueError(f"backbones: expected {', '.join(SHORT_NAMES)} or names of timm models, got {name!r}{hint}")


def _changes(preset: str, cells: Sequence[Cell], others: list[str]) -> dict[str, Any]:
    """What the words of train change in the preset, checked for every framework and protocol of the grid."""
    from vtsearch.cli import train
    from vtsearch.reproduction.recipe import recipe_of
    from vtsearch.training.config import config_of
    from vtsearch.training.presets import preset as recipe_for
    from vtsearch.training.run_folder import plain

    changed: dict[str, Any] = {}
    for framework, protocol in dict.fromkeys((cell.framework, cell.protocol) for cell in cells):
        recipe_for(preset, framework, protocol)
        words = train.parser(train.First(framework, preset, protocol))
        words.prog = "vtsearch reproduce"
        train.check_options(framework, others)
        config = config_of(words.parse_args(others).as_dict())
        changed |= recipe_of(plain(config), preset).changed
    return changed


def _check_flags(words: Sequence[str]) -> None:
    """Refuse what train does not know, or what the grid decides."""
    if not words:
        return
    from vtsearch.cli import train

    actions = train.parser(train.First("csq", "modern", "digits"))._actions  # noqa: SLF001 (it offers no public way)
    known = [flag for action in actions for flag in action.option_strings]
    own = [flag for flags, _ in _flags() for flag in flags]
    for word in words:
        flag = word.partition("=")[0]
        if not flag.startswith("--") or flag.startswith("--options."):
            continue
        if flag.removeprefix("--") in DECIDED:
            instead = DECIDED[flag.removeprefix("--")]
            raise ValueError(f"{flag}: the grid decides it" + (f"; use {instead}" if instead else ""))
        if flag not in known:
            close = difflib.get_close_matches(flag, [*own, *known], n=1)
            raise ValueError(f"{flag}: no such argument" + (f"; did you mean {close[0]}?" if close else ""))


# ---------------------------------------------------------------------------------------------------------------------
# What is done


def _plan(place: GridFolder, asked: _Asked, *, as_json: bool) -> int:
    """Print the cells, what the paper has for them, and what is done."""
    from vtsearch.reproduction import published_map

    def paper(cell: Cell) -> float | None:
        return published_map(cell.protocol, cell.backbone, cell.features, cell.framework, cell.bits)

    done = {cell: place.result(cell) is not None for cell in asked.cells}
    if as_json:
        cells = [vars(cell) | {"published": paper(cell), "done": done[cell]} for cell in asked.cells]
        print(json.dumps({"output": str(place.path), "recipe": str(asked.recipe), "cells": cells}))
        return 0
    width = max(len(cell.name) for cell in asked.cells)
    for cell in asked.cells:
        shown = "" if (number := paper(cell)) is None else f"  paper {number:.1f}"
        print(f"{cell.name:{width}}  {'done' if done[cell] else 'to do'}{shown}")
    runs = "1 run" if len(asked.cells) == 1 else f"{len(asked.cells)} runs"
    print(f"{runs}, {sum(done.values())} of them done, in {place.path}; {asked.recipe}")
    return 0


def _work(place: GridFolder, asked: _Asked, given: dict[str, Any]) -> int:
    from vtsearch.reproduction import collect, run_cells, write_reports
    from vtsearch.reproduction.progress import Watch

    request = asked.keep(place)
    if not given["report_only"]:
        watch = Watch(sys.stderr, asked.cells, f"{place.path}: {request.recipe}")
        run_cells(place, request, asked.cells, watch, one_line)
    collection = collect(place, request, one_line)
    page = write_reports(place.path, collection)
    if given["json"]:
        print(json.dumps(_values(place, collection)))
    else:
        _print(collection, page)
    done = all(place.result(cell) is not None for cell in asked.cells) and not collection.failures
    return 0 if given["report_only"] or done else NOT_DONE


def _values(place: GridFolder, collection: Collection) -> dict[str, Any]:
    from vtsearch.reproduction.tables import values_of

    return {
        "output": str(place.path),
        "recipe": str(collection.request.recipe),
        "rows": [values_of(row) for row in collection.rows],
        "failed": {failure.cell.name: failure.error for failure in collection.failures},
    }


def _print(collection: Collection, page: Path) -> None:
    from vtsearch.reproduction.tables import HEAD, cells_of, summary_line

    head = ("protocol", *HEAD)
    lines = [head, *((row.protocol, *cells_of(row)) for row in collection.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(f"{word:{width}}" for word, width in zip(line, widths, strict=True)).rstrip())
    for recipe in dict.fromkeys(row.recipe for row in collection.rows):
        print(recipe)
    print("mAP in percent, mean ± deviation over runs, ties expected; difference: best epoch minus paper, in points")
    print(f"{summary_line(collection)} {page}, results.md, results.tex, results.csv")
