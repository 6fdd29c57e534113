"""``vtsearch deduplicate``: groups of near-duplicates in an index, and the old items that they match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vtsearch._printable import printable
from vtsearch.cli.cluster import worker_of
from vtsearch.cli.code_inputs import open_old
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import WHERE, CommandParser
from vtsearch.cli.progress import scanning
from vtsearch.cli.shared_duplicates import add_arguments, is_shared, run_worker, shared_duplicates
from vtsearch.index import DuplicateGroup, Index

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from vtsearch.cli.code_inputs import OpenedCodes
    from vtsearch.duplicates import Duplicates
    from vtsearch.index import Verdict

EXAMPLE = """  vtsearch deduplicate codes/database --radius 3
  vtsearch deduplicate codes/database --radius 3 --max-diameter 6
  vtsearch deduplicate codes/new --radius 3 --against codes/database --json
  vtsearch deduplicate photos --radius 4 --keep largest --decide
  vtsearch deduplicate codes/database --radius 3 --work codes/near --worker 0/8
  vtsearch deduplicate codes/database --radius 3 --ray head:6379"""
DESCRIPTION = """Show groups of near-duplicates in an index, the item to keep first.

What was decided of an item (`vtsearch decide`, or --decide) is not asked again: a group is shown until each of its
items is to be kept or to be removed. Nothing is removed and no picture is deleted.

More items than one machine takes are searched by tasks: of workers that share a folder (--work), which may start at any
time and be killed, or on a Ray cluster. Groups are the same (docs/scale.md)."""


class Match(NamedTuple):
    """The old item that a new one matches."""

    name: str
    distance: int


class Found(NamedTuple):
    """The near-duplicates of an index, in words."""

    groups: list[DuplicateGroup]
    redundant: int
    matches: dict[int, Match] | None
    """Position -> match; None if there were no old items."""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("deduplicate", DESCRIPTION, EXAMPLE)
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
    command.add_argument(
        "--keep",
        default="first",
        help="which item of a group is to be kept: first (added first), largest (pixels, then bytes), oldest or newest "
        "(taken, or else modified), or path=PREFIX (whose id begins so)",
    )
    command.add_argument("--new", action="store_true", help="only groups that no earlier run with --new has shown")
    command.add_argument("--answered", action="store_true", help="also groups of which everything is decided")
    command.add_argument(
        "--decide", action="store_true", help="decide as shown: keep the first item of each group, remove the others"
    )
    command.add_argument("--where", help=WHERE)
    command.add_argument("--threads", type=int, help="upper bound; by default the CPUs that may be used")
    command.add_argument("--json", action="store_true", help="print JSON")
    add_arguments(command)
    return command


def run(argv: list[str]) -> int:
    """Print the groups with their diameters, the one to keep first, what matches, and the number of redundant items."""
    args = parser().parse_args(argv)
    worker = worker_of(args.worker)
    shared = is_shared(args, worker)
    with Index.open(args.index) as index:
        if worker is not None:
            run_worker(args, index, worker)
            return 0
        old = None if args.against is None else open_old(args.against, index)
        found = _search(args, index, old, shared=shared)
        ids, bits = index.ids(), index.bits
        print((_json if args.json else _text)(args, found, ids, bits))
        if args.decide:
            index.decide(decision for group in found.groups for decision in _proposals(group))
    return 0


def _proposals(group: DuplicateGroup) -> Iterator[tuple[Verdict, list[str]]]:
    """What a group as it is shown says of each item; an item that is to be kept stays so."""
    for place, (name, verdict) in enumerate(zip(group.ids, group.verdicts, strict=True)):
        yield "keep" if place == 0 or verdict == "keep" else "remove", [name]


def _search(args: Namespace, index: Index, old: OpenedCodes | None, *, shared: bool) -> Found:
    with scanning("deduplicating") as progress:
        if shared:
            found = shared_duplicates(args, index, progress)
        else:
            found = index.deduplicate(
                args.radius,
                against=None if old is None else old.database,
                max_diameter=args.max_diameter,
                where=args.where,
                threads=args.threads,
                progress=progress,
            )
    groups = index.duplicate_groups(
        args.radius, keep=args.keep, answered=args.answered, new=args.new, found=found, threads=args.threads
    )
    if old is None:
        return Found(groups, sum(len(group.ids) - 1 for group in groups), None)
    return Found(groups, len(found.redundant()), _matches(found, old))


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
    answer |= {"redundant": found.redundant, "groups": [group.ids for group in found.groups]}
    answer["diameters"] = [group.diameter for group in found.groups]
    answer["verdicts"] = [group.verdicts for group in found.groups]
    if found.matches is not None:
        answer["against"] = args.against
        answer["matches"] = [
            {"id": ids[item], "match": match.name, "distance": match.distance} for item, match in found.matches.items()
        ]
    return json_text(answer)


def _text(args: Namespace, found: Found, ids: Sequence[str], bits: int) -> str:
    groups = found.groups
    if found.matches is not None:  # items that are alone in their group, but have a match
        grouped = {item for group in groups for item in group.positions}
        alone = [DuplicateGroup([ids[item]], [item], 0, [None]) for item in found.matches if item not in grouped]
        groups = sorted(groups + alone, key=lambda group: min(group.positions))
    lines = [*_table(groups, found.matches), ""] if groups else []
    bound = "" if args.max_diameter is None else f", diameter up to {args.max_diameter}"
    matched = "" if found.matches is None else f"; {len(found.matches):,} items match old ones"
    lines.append(
        f"{len(found.groups):,} groups (radius {args.radius}{bound}, {bits} bits){matched}; "
        f"{found.redundant:,} of {len(ids):,} items could go"
    )
    return "\n".join(lines)


def _table(groups: Sequence[DuplicateGroup], matches: dict[int, Match] | None) -> list[str]:
    width = max(2, *(len(printable(name)) for group in groups for name in group.ids))
    said = max((len(verdict or "") for group in groups for verdict in group.verdicts), default=0)
    heads = ["diameter", f"{'id':<{width}}", *([f"{'said':<{said}}"] if said else [])]
    lines = ["  ".join([*heads, "" if matches is None else "distance  match"])]
    for group in groups:
        lines += [""] if len(lines) > 1 else []
        for place, (item, name, verdict) in enumerate(zip(group.positions, group.ids, group.verdicts, strict=True)):
            match = None if matches is None else matches.get(item)
            cells = [f"{group.diameter if place == 0 else '':>8}", f"{printable(name):<{width}}"]
            cells += [f"{verdict or '':<{said}}"] if said else []
            lines.append("  ".join([*cells, "" if match is None else f"{match.distance:8}  {printable(match.name)}"]))
    return [line.rstrip() for line in lines]
