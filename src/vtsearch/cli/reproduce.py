"""``vtsearch reproduce``: a table of the paper, or any grid of runs, compared with the published numbers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtsearch.cli import format_error
from vtsearch.cli.output import check_output_folder, json_text
from vtsearch.cli.parser import (
    LARGEST_INT,
    CommandParser,
    FirstParser,
    check_lengths,
    check_values,
    hyphenated,
    unknown_flag,
)
from vtsearch.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.reproduction import Axes, GridFolder, Recipe
    from vtsearch.reproduction.grid import Cell
    from vtsearch.reproduction.grid_folder import Request
    from vtsearch.reproduction.results import Collection

EXAMPLE = """  vtsearch reproduce --table 1 --protocols cifar10@54000 --bits 16 --frameworks csq --backbones vts32
  vtsearch reproduce --table 3 --seeds 3 --output runs/table3 --dry-run
  vtsearch reproduce --output runs/table3                 (continues the grid in that folder)
  vtsearch reproduce --output runs/table3 --report-only
  vtsearch reproduce --protocols digits --backbones vit_tiny_patch16_224 --frameworks csq,hashnet --bits 16,32 \\
      --seeds 2 --preset modern --image-size 32 --no-pretrained --epochs 5 --output runs/digits

Any option of vtsearch train changes the recipe of all cells, and the reports list it: vtsearch train --help."""

DESCRIPTION = "Run a grid of trainings, one after the other, and compare the results with the published numbers."
NOT_DONE = 1
MOST_SEEDS = 10_000
"""Runs per cell, at most."""
AXES = ("protocols", "backbones", "features", "frameworks", "bits", "seeds")
DEFAULT_OUTPUT = "runs/reproduction"
DECIDED = {"head": "--features", "seed": "--seeds", "output": None, "resume": None, "config": None}
"""Options of train that a grid sets, and the flag for each."""


def run(argv: list[str]) -> int:
    """Do the missing runs and write the reports; returns 1 if a run is missing afterwards."""
    if {"-h", "--help"} & set(argv):
        parser().print_help()
        return 0
    args, others = _parse(argv)
    _check_flags(others)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "WORLD_SIZE: expected one process per grid run, got several; start the command once for every GPU "
            "(CUDA_VISIBLE_DEVICES), with the same --output: they share the cells"
        )
    from vtsearch.reproduction import GridFolder

    grid = GridFolder(args["output"])
    asked = _request(args, others, grid)
    if args["dry_run"]:
        return _plan(grid, asked, as_json=args["json"])
    return _work(grid, asked, args)


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("reproduce", DESCRIPTION, EXAMPLE)
    for flags, settings in _flags():
        command.add_argument(*flags, **settings)
    return command


def _flags() -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    return [
        (("--table",), {"help": "published table that gives the axes: 1, 2 or 3; by default 1"}),
        (("--protocols", "--protocol"), {"help": "such as cifar10@54000,cifar10@all"}),
        (("--backbones", "--backbone"), {"help": "alexnet, resnet50, vts32, vts16, or names of timm"}),
        (("--features",), {"help": "all, cls: input of the head, all tokens or the class token"}),
        (("--frameworks", "--framework"), {"help": "training objectives, such as csq,hashnet"}),
        (("--bits",), {"help": "code lengths, such as 16,32,64"}),
        (
            ("--seeds",),
            {"help": "number of runs per cell (seeds 0, 1, ...), or a list of seeds such as 3,7; by default 1"},
        ),
        (
            ("--preset",),
            {
                "help": "recipe: paper (default) repeats the published one, modern is the recommended one, "
                "transhash is a reconstruction of TransHash, for dch alone"
            },
        ),
        (("--data",), {"help": "folder that holds the data sets; by default $VTSEARCH_DATA"}),
        (("--output",), {"default": DEFAULT_OUTPUT, "help": "folder of the grid; an existing grid is continued"}),
        (("--dry-run",), {"action": "store_true", "help": "list the cells only"}),
        (("--report-only",), {"action": "store_true", "help": "write the reports of the finished runs only"}),
        (("--json",), {"action": "store_true", "help": "print JSON"}),
    ]


def _parse(argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The arguments of this command, and those of train."""
    check_lengths(argv)
    grid_parser = FirstParser()
    for flags, settings in _flags():
        grid_parser.add_argument(*flags, **settings)
    known, others = grid_parser.parse_known_args(argv)
    check_values(vars(known).items())
    check_output_folder("output", known.output)
    return vars(known), others


# ---------------------------------------------------------------------------------------------------------------------
# The request


def _request(args: dict[str, Any], others: list[str], grid: GridFolder) -> _Asked:
    """The requested cells and recipe; without arguments, those of the existing grid."""
    from vtsearch.reproduction import Recipe, axes_of

    before = grid.request()
    chosen = {name: _list(name, args[name]) for name in AXES if args[name] is not None}
    nothing_new = not chosen and args["table"] is None
    if args["report_only"] and not nothing_new:
        raise ValueError("report_only: expected the reports of the whole grid, got a choice of cells")
    if before is None and args["report_only"]:
        raise FileNotFoundError(f"output: no grid in {grid.path}")
    if before is not None and nothing_new:
        axes, cells = None, before.cells()
    else:
        axes = axes_of(_table(args["table"]), chosen.pop("seeds", [0]), **chosen)
        cells = list(axes.cells())
    for name in dict.fromkeys(cell.backbone for cell in cells):
        _check_backbone(name)
    if before is not None and args["preset"] is None and not others:
        recipe = before.recipe
    else:
        recipe = Recipe(args["preset"] or "paper", _changes(args["preset"] or "paper", cells, others))
    data = args["data"] or (None if before is None else before.data)
    return _Asked(recipe, axes, data, before)


class _Asked:
    """A validated request, before it is written to the grid's folder."""

    def __init__(self, recipe: Recipe, axes: Axes | None, data: str | None, before: Request | None) -> None:
        from vtsearch.reproduction import cell_config

        self.recipe, self.axes, self.data = recipe, axes, data
        if axes is not None:
            self.cells = list(axes.cells())
        else:
            self.cells = [] if before is None else before.cells()
        for cell in self.cells:  # report a mistake once, before any run
            cell_config(cell, recipe, data)
        weights = recipe.changed.get("weights")
        if weights and len({cell.backbone for cell in self.cells}) > 1:
            raise ValueError("weights: expected one backbone with --weights, got several")

    def keep(self, grid: GridFolder) -> Request:
        """Write the request to the grid's folder."""
        from vtsearch.reproduction.grid_folder import Request

        before = grid.request()
        if self.axes is None:
            assert before is not None
            if str(before.recipe) == str(self.recipe):
                return Request(self.recipe, before.axes, self.data)
            return grid.add_request(self.recipe, before.axes[0], self.data)  # refuses another recipe
        return grid.add_request(self.recipe, self.axes, self.data)


def _table(word: str | None) -> int | None:
    if word is None:
        return None
    if word not in {"1", "2", "3"}:
        raise ValueError(f"table: expected one of 1, 2, 3, got {word!r}")
    return int(word)


def _list(name: str, text: str) -> list[Any]:
    """Comma-separated values; a single number of seeds is their count."""
    values = [value.strip() for value in text.split(",") if value.strip()]
    if name not in {"bits", "seeds"}:
        return values
    if not values or not all(value.isdecimal() for value in values):
        raise ValueError(f"{name}: expected whole numbers between commas, got {text!r}")
    numbers = [_number(name, value) for value in values]
    if name != "seeds" or "," in text:
        return numbers
    if numbers[0] > MOST_SEEDS:
        raise ValueError(f"seeds: expected a number of runs up to {MOST_SEEDS:,}, or a list of seeds, got {text}")
    return list(range(numbers[0]))


def _number(name: str, digits: str) -> int:
    if len(digits) > len(str(LARGEST_INT)) or int(digits) > LARGEST_INT:
        raise ValueError(f"{name}: expected at most {LARGEST_INT}, got {digits}")
    return int(digits)


def _check_backbone(name: str) -> None:
    import timm

    from vtsearch.models.backbones import SHORT_NAMES, is_known

    if not is_known(name):
        hint = suggestion(name, [*SHORT_NAMES, *timm.list_models(), *timm.list_pretrained()], most=2)
        choices = f"{', '.join(SHORT_NAMES)} or names of timm models"
        raise ValueError(f"backbones: expected {choices}, got {name!r}{hint}")


def _changes(preset: str, cells: Sequence[Cell], others: list[str]) -> dict[str, Any]:
    """The changes that arguments of train make to the preset, checked for every kind of run of the grid."""
    from vtsearch.cli import train
    from vtsearch.reproduction.recipe import HEADS, recipe_of
    from vtsearch.training.presets import completed
    from vtsearch.training.presets import preset as recipe_for
    from vtsearch.training.run_folder import plain

    changed: dict[str, Any] = {}
    for framework, protocol in dict.fromkeys((cell.framework, cell.protocol) for cell in cells):
        supplied = recipe_for(preset, framework, protocol)
        command = train.parser(train.First(framework, preset, protocol))
        command.prog = "vtsearch reproduce"
        train.check_options(framework, others)
        tree = command.parse_args(others).as_dict()
        alike = [cell for cell in cells if (cell.framework, cell.protocol) == (framework, protocol)]
        for backbone, features in dict.fromkeys((cell.backbone, cell.features) for cell in alike):
            of_the_cell = {"backbone": backbone, "head": HEADS[features]}
            config = completed(tree | of_the_cell, supplied)
            changed |= recipe_of(plain(config), preset).changed
    return changed


def _check_flags(argv: Sequence[str]) -> None:
    """Refuse flags that train does not have, or that the grid sets."""
    if not argv:
        return
    from vtsearch.cli import train

    known = train.parser(train.First("csq", "modern", "digits")).flags()
    own = [flag for flags, _ in _flags() for flag in flags]
    for argument in argv:
        flag = hyphenated(argument.partition("=")[0])
        if not flag.startswith("--") or flag.startswith("--options."):
            continue
        if flag.removeprefix("--") in DECIDED:
            instead = DECIDED[flag.removeprefix("--")]
            raise ValueError(f"{flag}: the grid decides it" + (f"; use {instead}" if instead else ""))
        if flag not in known:
            raise ValueError(unknown_flag(flag, [*own, *known]))


# ---------------------------------------------------------------------------------------------------------------------
# The work


def _plan(grid: GridFolder, asked: _Asked, *, as_json: bool) -> int:
    """Print the cells with their published numbers and their state."""
    from vtsearch.reproduction import published_map

    def paper(cell: Cell) -> float | None:
        return published_map(cell.protocol, cell.backbone, cell.features, cell.framework, cell.bits)

    done = {cell: grid.result(cell) is not None for cell in asked.cells}
    if as_json:
        cells = [vars(cell) | {"published": paper(cell), "done": done[cell]} for cell in asked.cells]
        print(json_text({"output": str(grid.path), "recipe": str(asked.recipe), "cells": cells}, indent=None))
        return 0
    width = max(len(cell.name) for cell in asked.cells)
    for cell in asked.cells:
        shown = "" if (number := paper(cell)) is None else f"  paper {number:.1f}"
        print(f"{cell.name:{width}}  {'done' if done[cell] else 'to do'}{shown}")
    runs = "1 run" if len(asked.cells) == 1 else f"{len(asked.cells)} runs"
    print(f"{runs}, {sum(done.values())} of them done, in {grid.path}; {asked.recipe}")
    return 0


def _work(grid: GridFolder, asked: _Asked, args: dict[str, Any]) -> int:
    from vtsearch.reproduction import collect, run_cells, write_reports
    from vtsearch.reproduction.progress import GridProgress

    request = asked.keep(grid)
    if not args["report_only"]:
        progress = GridProgress(sys.stderr, asked.cells, f"{grid.path}: {request.recipe}")
        run_cells(grid, request, asked.cells, progress, format_error)
    collection = collect(grid, request, format_error)
    page = write_reports(grid.path, collection)
    if args["json"]:
        print(json_text(_values(grid, collection), indent=None))
    else:
        _print(collection, page)
    done = all(grid.result(cell) is not None for cell in asked.cells) and not collection.failures
    return 0 if args["report_only"] or done else NOT_DONE


def _values(grid: GridFolder, collection: Collection) -> dict[str, Any]:
    from vtsearch.reproduction.tables import values_of

    return {
        "output": str(grid.path),
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
