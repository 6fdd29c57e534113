"""``vtsearch deduplicate``: the near-duplicates of an index, in groups."""

from __future__ import annotations

import json

from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import scanning
from vtsearch.duplicates import deduplicate
from vtsearch.index import Index

EXAMPLE = """  vtsearch deduplicate codes/database --radius 3
  vtsearch deduplicate codes/database --radius 0 --json"""


def parser() -> CommandParser:
    """The words that this command understands."""
    words = CommandParser("deduplicate", "Show groups of near-duplicates in an index.", EXAMPLE)
    words.add_argument("index", help="folder of the index")
    words.add_argument(
        "--radius",
        type=int,
        required=True,
        help="bits in which two items may differ; groups are chains of such items, 0 finds equal codes",
    )
    words.add_argument("--threads", type=int, help="upper bound; by default the CPUs that may be used")
    words.add_argument("--json", action="store_true", help="print JSON")
    return words


def run(argv: list[str]) -> int:
    """Find them; prints the ids of each group, one a line and the one to keep first, and how many could go."""
    given = parser().parse_args(argv)
    with Index.open(given.index) as index:
        with scanning("deduplicating") as progress:
            found = deduplicate(index.codes(), given.radius, threads=given.threads, progress=progress)
        ids, bits = index.ids(), index.bits
    groups = [[ids[item] for item in group] for group in found.groups()]
    redundant = len(found.redundant())
    if given.json:
        sizes = {"items": len(ids), "bits": bits, "radius": given.radius, "redundant": redundant}
        print(json.dumps({"index": given.index, **sizes, "groups": groups}, indent=1))
        return 0
    for group in groups:
        print("\n".join(group), end="\n\n")
    print(f"{len(groups):,} groups (radius {given.radius}, {bits} bits); {redundant:,} of {len(ids):,} items could go")
    return 0
