"""``vtsearch decide``: what people say of near-duplicates, kept in the index."""

from __future__ import annotations

import csv
import io
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from vtsearch._atomic_io import write_file
from vtsearch._printable import printable
from vtsearch._validate import choice
from vtsearch.cli.output import check_output_file, json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.data.locate import ImageLocator, knows_images
from vtsearch.index import Index, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.index import Decision

EXAMPLE = """  vtsearch decide photos keep sunset/17.jpg sunset/18.jpg
  vtsearch decide photos distinct twins/a.jpg twins/b.jpg
  vtsearch decide photos --export decisions.csv
  vtsearch decide photos --export removals.sh"""
DESCRIPTION = """Say what near-duplicates are, or list what was said.

`vtsearch deduplicate` does not ask again. Nothing is removed from the index, and no picture is deleted: a script that
--export writes prints the commands, for you to look at."""

FORGET = "forget"


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("decide", DESCRIPTION, EXAMPLE)
    command.add_argument("index", help="folder of the index")
    command.add_argument(
        "verdict",
        nargs="?",
        metavar="keep|remove|distinct|forget",
        help="keep: these items stay; remove: they may go; distinct: they are no duplicates of each other; "
        "forget what was said of them; by default all decisions are listed",
    )
    command.add_argument("item", nargs="*", help="ids of items")
    command.add_argument("--export", metavar="FILE", help="write all decisions (.csv), or what is to be removed (.sh)")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Decide or list; prints the decisions, or how many there are."""
    args = parser().parse_args(argv)
    check_output_file("export", args.export)
    if args.export is not None and Path(args.export).suffix not in _EXPORTS:
        raise ValueError(f"export: expected a file named .csv or .sh, got {args.export}")
    if args.verdict is not None:
        choice("verdict", args.verdict, (*get_args(Verdict), FORGET))
    if args.verdict is not None and not args.item:
        raise ValueError(f"item: expected ids of items to {args.verdict}, got none")
    with Index.open(args.index) as index:
        if args.verdict == FORGET:
            index.forget_decisions(args.item)
        elif args.verdict is not None:
            together = args.verdict == "distinct"
            index.decide([(args.verdict, args.item)] if together else [(args.verdict, [item]) for item in args.item])
        decisions = index.decisions()
        if args.export is not None:
            content = _EXPORTS[Path(args.export).suffix](decisions, index)
            write_file(Path(args.export), content.encode("utf-8", "surrogateescape"))
    if args.json:
        print(json_text({"index": args.index, "decisions": [each._asdict() for each in decisions]}))
    elif args.verdict is None and args.export is None:
        _print(decisions)
    else:
        print(printable(f"{args.index}: {len(decisions):,} decisions"))
    return 0


def _print(decisions: Sequence[Decision]) -> None:
    for verdict, ids in decisions:
        print(f"{verdict:<8}  {'  '.join(map(printable, ids))}")


def _as_csv(decisions: Sequence[Decision], _index: Index) -> str:
    """A row for each item; those of one decision have its number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["decision", "verdict", "id"])
    for number, (verdict, ids) in enumerate(decisions, start=1):
        writer.writerows((number, verdict, name) for name in ids)
    return text.getvalue()


def _as_script(decisions: Sequence[Decision], index: Index) -> str:
    """A shell script that prints a command for each picture that is to be removed, and does nothing else."""
    root = ImageLocator.of(index).root if knows_images(index) else None
    lines = [
        "#!/bin/sh",
        "# What was decided to be removed. It only prints; to delete pictures, look at each line and take 'echo' away.",
    ]
    for verdict, ids in decisions:
        if verdict == "remove":
            path = ids[0] if root is None else str(root / ids[0])
            lines.append(f"echo rm -- {shlex.quote(path)}")
    return "\n".join(lines) + "\n"


_EXPORTS = {".csv": _as_csv, ".sh": _as_script}
