"""``vtsearch compact``: the same index in fewer and smaller files."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from pathlib import Path

from vtsearch._printable import printable
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.index import Index

EXAMPLE = """  vtsearch compact photos
  vtsearch compact photos --indexed label taken
  vtsearch compact photos --tables"""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser(
        "compact", "Join the small segments of an index and drop what is left of removed items.", EXAMPLE
    )
    command.add_argument("index", help="folder of the index; who reads it meanwhile is not disturbed")
    command.add_argument(
        "--indexed",
        nargs="*",
        metavar="COLUMN",
        help="columns of metadata, or id and label, that get a B-tree: --where finds few of many items faster by it; "
        "by default those that have one",
    )
    command.add_argument(
        "--tables",
        action=BooleanOptionalAction,
        help="make tables of the codes of each segment of 4 MiB of codes or more, now and by each further compact, by "
        "which near items are found without a scan; for 64 bits they take six times the space of the codes",
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Compact; prints segments and bytes, before and after."""
    args = parser().parse_args(argv)
    with Index.open(args.index) as index:
        before = len(index.segments), _bytes(index)
        index.compact(indexed=args.indexed, tables=args.tables)
        after = len(index.segments), _bytes(index)
    if args.json:
        names = ("segments_before", "bytes_before", "segments", "bytes")
        print(json_text({"index": args.index, **dict(zip(names, before + after, strict=True))}))
    else:
        print(
            printable(
                f"{args.index}: {before[0]:,} segments of {before[1] / 1e6:,.1f} MB are now "
                f"{after[0]:,} of {after[1] / 1e6:,.1f} MB"
            )
        )
    return 0


def _bytes(index: Index) -> int:
    """Bytes of the files of all segments."""
    files = (Path(index.path, *item) for segment in index.segments for item in segment.files.items())
    return sum(file.stat().st_size for file in files)
