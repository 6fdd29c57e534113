"""``vtsearch data``: the protocols, checks of a copy of a data set, splits of your own images."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vtsearch._printable import printable
from vtsearch.cli.output import check_output_folder, json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import scanning, show_remarks
from vtsearch.data.datasets import DATASETS
from vtsearch.data.make_split import Form, make_split
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.splits.split import DatabaseRule
from vtsearch.data.validation.check import check_dataset
from vtsearch.evaluation import map_name

if TYPE_CHECKING:
    from vtsearch.data.validation.check import Finding, Inspection

Task = Literal["list", "check", "make"]
FINDINGS = 1
"""The exit code of ``check`` where it found an error."""
EXAMPLES = 3
"""Examples that are printed of a finding that is not listed whole; ``--json`` has all."""

EXAMPLE = """  vtsearch data list
  vtsearch data check mscoco@5000 /data/coco
  vtsearch data make photos --output photos-split --queries-per-class 10 --train-per-class 50
each has its own help: vtsearch data check --help"""
CHECK_EXAMPLE = """  vtsearch data check cifar10@54000
  vtsearch data check mscoco@5000 /data/coco --quick
  vtsearch data check photos-split --json"""
MAKE_EXAMPLE = """  vtsearch data make photos --output photos-split --queries-per-class 10 --train-per-class 50
  vtsearch data make table.csv --output split --queries-per-class 5 --train-per-class 20 --form parquet
  vtsearch train --protocol photos-split"""


def run(argv: list[str]) -> int:
    """Run the task that the first argument names."""
    tasks = {"list": _run_list, "check": _run_check, "make": _run_make}
    if argv and argv[0] in tasks:
        return tasks[argv[0]](argv[1:])
    parser().parse_args(argv)
    return 0


def parser() -> CommandParser:
    """Build the argument parser of the command without its tasks."""
    command = CommandParser("data", "List the protocols, check a copy of a data set, split your own images.", EXAMPLE)
    command.add_argument("task", type=Task, help="list, check or make")
    return command


def list_parser() -> CommandParser:
    """Build the argument parser of ``data list``."""
    command = CommandParser(
        "data list", "Show the protocols: counts, k and the files they need.", "  vtsearch data list"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _run_list(argv: list[str]) -> int:
    """Print the protocols and the files they need."""
    args = list_parser().parse_args(argv)
    table = protocols()
    print(json_text(table) if args.json else _table(table))
    return 0


def protocols() -> list[dict[str, Any]]:
    """The published numbers of each protocol and the source of its images."""
    rows = []
    for protocol in PROTOCOLS.values():
        published, dataset = protocol.published, DATASETS[protocol.source]
        assert published is not None
        rows.append(
            {
                "protocol": protocol.name,
                "queries": published.query,
                "train": published.train,
                "database": published.database,
                "train_in_database": protocol.database != "rest",
                "k": protocol.k,
                "classes": published.classes,
                "description": protocol.description,
                "data": dataset.title,
                "needs": dataset.needs,
                "page": dataset.page,
            }
        )
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    head = f"{'protocol':<18}{'queries':>8}{'train':>8}{'database':>10}{'classes':>9}  judged by"
    lines = [head]
    for row in rows:
        inside = ", train in the database" if row["train_in_database"] else ""
        counts = f"{row['queries']:>8,}{row['train']:>8,}{row['database']:>10,}{row['classes']:>9}"
        lines.append(f"{row['protocol']:<18}{counts}  {map_name(row['k'])}{inside}")
    needs = {row["data"]: row for row in rows}
    for title, row in needs.items():
        names = ", ".join(other["protocol"] for other in rows if other["data"] == title)
        lines += ["", f"{title} ({names})", f"  needs {row['needs']}", f"  from  {row['page']}"]
    return "\n".join(lines)


def check_parser() -> CommandParser:
    """Build the argument parser of ``data check``."""
    command = CommandParser("data check", "Check a copy of a data set against its protocol.", CHECK_EXAMPLE)
    command.add_argument("protocol", help="a protocol's name, or a folder or manifest of your own")
    command.add_argument("root", nargs="?", help="folder of the data set; by default $VTSEARCH_DATA")
    command.add_argument("--quick", action="store_true", help="read sizes and headers of the images only")
    command.add_argument("--seed", type=int, default=0, help="seed of a drawn split")
    command.add_argument("--strip_prefix", help="beginning to remove from the paths in lists and tables")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _run_check(argv: list[str]) -> int:
    """Print a line per check; returns 0 if no error was found, else 1."""
    args = check_parser().parse_args(argv)
    if args.root is not None and not Path(args.root).is_dir():
        raise FileNotFoundError(2, "no such folder", args.root)
    root = None if args.root is None else Path(args.root)
    with scanning("checking") as progress:
        found = check_dataset(
            args.protocol,
            root,
            quick=args.quick,
            seed=args.seed,
            strip_prefix=args.strip_prefix or "",
            progress=progress,
        )
    print(json_text(asdict(found) | {"is_clean": found.is_clean}) if args.json else _lines(found))
    return 0 if found.is_clean else FINDINGS


def _lines(found: Inspection) -> str:
    lines = [found.name + (f" ({found.title})" if found.title else "")]
    for finding in found.findings:
        lines.append(f"{finding.level:<7}{finding.check:<9}{finding.text}")
        shown = finding.examples if is_listed_whole(finding) else finding.examples[:EXAMPLES]
        lines += [f"{'':<18}{example}" for example in shown]
        if finding.count > len(shown) > 0:
            lines.append(f"{'':<18}and {finding.count - len(shown):,} more")
    if not found.is_clean and found.page:
        lines.append(f"{found.title} is offered by its publisher at {found.page}")
    levels = [finding.level for finding in found.findings]
    lines.append(f"errors: {levels.count('error')}, warnings: {levels.count('warn')}")
    return "\n".join(map(printable, lines))


def is_listed_whole(finding: Finding) -> bool:
    """Whether each file or line of a finding is printed: those that are missing, unreadable or wrong are."""
    return finding.check in ("open", "files") or (finding.check == "labels" and finding.level == "error")


def make_parser() -> CommandParser:
    """Build the argument parser of ``data make``."""
    command = CommandParser("data make", "Draw a split of your own images and write it to files.", MAKE_EXAMPLE)
    command.add_argument("images", help="a folder per class, a list file (.txt) or a manifest (.csv, .parquet)")
    command.add_argument("--output", required=True, help="folder for the list files or the manifest")
    command.add_argument("--queries-per-class", type=int, default=10, help="queries drawn from each class")
    command.add_argument("--train-per-class", type=int, default=50, help="training images drawn from each class")
    command.add_argument("--database", type=DatabaseRule, default="rest+train", help="images in the database")
    command.add_argument("--seed", type=int, default=0, help="seed of the draw")
    command.add_argument(
        "--form", type=Form, default="lists", help="three list files, or one table with a split column"
    )
    command.add_argument(
        "--root", help="folder that the paths of a list or manifest are relative to; by default its own"
    )
    command.add_argument("--overwrite", action="store_true", help="replace existing files in --output")
    return command


def _run_make(argv: list[str]) -> int:
    """Draw a split and write it; prints its sizes and the command that trains on it."""
    args = make_parser().parse_args(argv).as_dict()
    check_output_folder("output", args["output"])
    made = make_split(**args)
    show_remarks("data make", made.remarks)
    split = made.split
    counts = ", ".join(f"{len(getattr(split, part)):,} {part}" for part in ("query", "train", "database"))
    print(f"{printable(args['output'])}: {counts} (seed {args['seed']}, split {split.fingerprint[:12]})")
    print(f"vtsearch train --protocol {shlex.quote(printable(args['output']))}")
    return 0
