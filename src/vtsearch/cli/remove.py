"""``vtsearch remove``: an index without some items."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vtsearch._printable import printable
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import WHERE, CommandParser
from vtsearch.index import Index

EXAMPLE = """  vtsearch remove photos cat/17.jpg cat/18.jpg
  vtsearch remove photos --where "id LIKE 'drafts/%' AND bytes < 10000"
  vtsearch remove photos --ids gone.txt --missing ignore"""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("remove", "Remove items from an index, all of them or none; images stay.", EXAMPLE)
    command.add_argument("index", help="folder of the index")
    command.add_argument("item", nargs="*", help="ids of items")
    command.add_argument("--ids", help="file of further ids, one in each line; - is standard input")
    command.add_argument("--where", help=WHERE)
    command.add_argument(
        "--missing",
        choices=("error", "ignore"),
        default="error",
        help="what an id is that the index does not have",
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Remove; prints how many items are gone and how many are left."""
    args = parser().parse_args(argv)
    ids = [*args.item, *([] if args.ids is None else _lines(args.ids))]
    if not ids and args.where is None:
        raise ValueError("item: expected at least one id, a file of them in --ids, or a condition in --where, got none")
    if ids and args.where is not None:
        raise ValueError("where: expected either ids or a condition, got both")
    with Index.open(args.index) as index:
        removed = index.remove(ids or None, where=args.where, missing=args.missing)
        left = len(index)
    if args.json:
        print(json_text({"index": args.index, "removed": removed, "items": left}))
    else:
        print(printable(f"{args.index}: {removed:,} items removed, {left:,} left"))
    return 0


def _lines(path: str) -> list[str]:
    content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    return [os.fsdecode(line) for line in content.splitlines() if line]
