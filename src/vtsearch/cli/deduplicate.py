"""``vtsearch deduplicate``: groups of near-duplicates in an index."""

from __future__ import annotations

from vtsearch._printable import printable
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import scanning
from vtsearch.index import Index

EXAMPLE = """  vtsearch deduplicate codes/database --radius 3
  vtsearch deduplicate codes/database --radius 0 --json"""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("deduplicate", "Show groups of near-duplicates in an index.", EXAMPLE)
    command.add_argument("index", help="folder of the index")
    command.add_argument(
        "--radius",
        type=int,
        required=True,
        help="bits in which two items may differ; groups are chains of such items, 0 finds equal codes",
    )
    command.add_argument("--threads", type=int, help="upper bound; by default the CPUs that may be used")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Print the ids of each group, the one to keep first, and the number of redundant items."""
    args = parser().parse_args(argv)
    with Index.open(args.index) as index:
        with scanning("deduplicating") as progress:
            found = index.deduplicate(args.radius, threads=args.threads, progress=progress)
        ids, bits = index.ids(), index.bits
    groups = [[ids[item] for item in group] for group in found.groups()]
    redundant = len(found.redundant())
    if args.json:
        sizes = {"items": len(ids), "bits": bits, "radius": args.radius, "redundant": redundant}
        print(json_text({"index": args.index, **sizes, "groups": groups}))
        return 0
    for group in groups:
        print("\n".join(map(printable, group)), end="\n\n")
    print(f"{len(groups):,} groups (radius {args.radius}, {bits} bits); {redundant:,} of {len(ids):,} items could go")
    return 0
