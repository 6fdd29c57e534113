"""``vtsearch deduplicate``: groups of near-duplicates in an index, and the old items that they match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vtsearch._printable import printable
from vtsearch.cli.code_inputs import open_old
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import WHERE, CommandParser
from vtsearch.cli.progress import scanning
from vtsearch.index import Index

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from vtsearch.cli.code_inputs import OpenedCodes
    from vtsearch.duplicates import Duplicates

EXAMPLE = """  vtsearch deduplicate codes/database --radius 3
  vtsearch deduplicate codes/database --radius 3 --max-diameter 6
  vtsearch deduplicate codes/new --radius 3 --against codes/database --json"""


class Match(NamedTuple):
    """The old item that a new one matches."""

    name: str
    distance: int


class Found(NamedTuple):
    """The near-duplicates of an index, in words."""

    groups: list[list[int]]
    """Positions of the items of each."""
    diameters: list[int]
    redundant: int
    matches: dict[int, Match] | None
    """Position -> match; None if there were no old items."""


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
    command.add_argument(
        "--against",
        help="old items, index folder or .npy of codes or features: also show which items match one within the radius",
    )
    command.add_argument(
        "--max-diameter", type=int, help="split groups in which two items differ in more bits; by default none"
    )
    command.add_argument("--where", help=WHERE)
    command.add_argument("--threads", type=int, help="upper bound; by default the CPUs that may be used")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Print the groups with their diameters, the one to keep first, what matches, and the number of redundant items."""
    args = parser().parse_args(argv)
    with Index.open(args.index) as index:
        old = None if args.against is None else open_old(args.against, index)
        found = _search(args, index, old)
        ids, bits = index.ids(), index.bits
    print((_json if args.json else _text)(args, found, ids, bits))
    return 0


def _search(args: Namespace, index: Index, old: OpenedCodes | None) -> Found:
    with scanning("deduplicating") as progress:
        found = index.deduplicate(
            args.radius,
            against=None if old is None else old.database,
            max_diameter=args.max_diameter,
            where=args.where,
            threads=args.threads,
            progress=progress,
        )
    with scanning("measuring groups") as progress:
        diameters = found.diameters(index.database(), threads=args.threads, progress=progress)
    groups = [group.tolist() for group in found.groups()]
    return Found(groups, diameters.tolist(), len(found.redundant()), None if old is None else _matches(found, old))


def _matches(found: Duplicates, old: OpenedCodes) -> dict[int, Match]:
    assert found.matches is not None
    assert found.match_distances is not None
    pairs = list(zip(found.matches.tolist(), found.match_distances.tolist(), strict=True))
    names = old.names(sorted({item for item, _ in pairs if item >= 0}))
    return {position: Match(names[item], distance) for position, (item, distance) in enumerate(pairs) if item >= 0}


def _json(args: Namespace, found: Found, ids: Sequence[str], bits: int) -> str:
    answer: dict[str, Any] = {"index": args.index, "items": len(ids), "bits": bits, "radius": args.radius}
    if args.max_diameter is not None:
        answer["max_diameter"] = args.max_diameter
    answer |= {"redundant": found.redundant, "groups": [[ids[item] for item in group] for group in found.groups]}
    answer["diameters"] = found.diameters
    if found.matches is not None:
        answer["against"] = args.against
        answer["matches"] = [
            {"id": ids[item], "match": match.name, "distance": match.distance} for item, match in found.matches.items()
        ]
    return json_text(answer)


def _text(args: Namespace, found: Found, ids: Sequence[str], bits: int) -> str:
    blocks = list(zip(found.diameters, found.groups, strict=True))
    if found.matches is not None:  # items that are alone in their group, but have a match
        grouped = {item for group in found.groups for item in group}
        blocks = sorted(
            blocks + [(0, [item]) for item in found.matches if item not in grouped], key=lambda each: each[1]
        )
    lines = [*_table(blocks, found.matches, ids), ""] if blocks else []
    bound = "" if args.max_diameter is None else f", diameter up to {args.max_diameter}"
    matched = "" if found.matches is None else f"; {len(found.matches):,} items match old ones"
    lines.append(
        f"{len(found.groups):,} groups (radius {args.radius}{bound}, {bits} bits){matched}; "
        f"{found.redundant:,} of {len(ids):,} items could go"
    )
    return "\n".join(lines)


def _table(blocks: Sequence[tuple[int, list[int]]], matches: dict[int, Match] | None, ids: Sequence[str]) -> list[str]:
    names = {item: printable(ids[item]) for _, group in blocks for item in group}
    width = max(2, *(len(name) for name in names.values()))
    lines = [f"diameter  {'id':<{width}}  {'' if matches is None else 'distance  match'}"]
    for diameter, group in blocks:
        lines += [""] if len(lines) > 1 else []
        for place, item in enumerate(group):
            match = None if matches is None else matches.get(item)
            beside = "" if match is None else f"{match.distance:8}  {printable(match.name)}"
            lines.append(f"{diameter if place == 0 else '':>8}  {names[item]:<{width}}  {beside}")
    return [line.rstrip() for line in lines]
