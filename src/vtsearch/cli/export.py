"""``vtsearch export``: the codes of an index for another tool."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vtsearch._printable import printable
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.exchange import export
from vtsearch.exchange.formats import FormatName
from vtsearch.index import Index

if TYPE_CHECKING:
    from vtsearch.exchange import Exported

EXAMPLE = """  vtsearch export codes/database codes.faiss
  vtsearch export codes/database codes.parquet --overwrite
  vtsearch export codes/database postgresql://me@localhost/photos --table codes"""
DESCRIPTION = """Write the codes of an index for another tool.

Ids, labels and metadata are written where the format has a place for them. The target appears as a whole or not at all.
docs/exchange.md has each format, and SQL to search what was written."""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("export", DESCRIPTION, EXAMPLE)
    command.add_argument("index", help="folder of the index")
    command.add_argument("target", help="file to write, or a database, postgresql://USER@HOST/DATABASE")
    command.add_argument("--to", type=FormatName, help="format; by default what the target's name tells")
    command.add_argument("--table", help="table of a database, with or without a schema; by default codes")
    command.add_argument(
        "--overwrite", action="store_true", help="replace the file, or the table if an export wrote it"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Export; prints what was written, and SQL to try on a database."""
    args = parser().parse_args(argv)
    with Index.open(args.index) as index:
        exported, bits = export(index, args.target, args.to, table=args.table, overwrite=args.overwrite), index.bits
    if args.json:
        print(json_text({"index": args.index, "bits": bits, **exported._asdict()}))
        return 0
    _show_left_out(exported)
    print(printable(f"{exported.target}: {exported.items:,} codes of {bits} bits ({exported.format})"))
    for query in exported.queries:
        print(printable(query))
    return 0


def _show_left_out(exported: Exported) -> None:
    if exported.left_out:
        names = ", ".join(exported.left_out)
        print(f"vtsearch export: warning: {exported.format} has no place for {names}; left out", file=sys.stderr)
