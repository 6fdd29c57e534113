"""Groups of near-duplicates as a person looks at them: which item to keep, and what was said of them before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from vtsearch._database import Database
from vtsearch._validate import choice
from vtsearch.index.decisions import group_key
from vtsearch.index.ids import Ids
from vtsearch.ranking import within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from vtsearch.duplicates import Duplicates
    from vtsearch.index.decisions import Decisions, Verdict
    from vtsearch.index.generation import Generation

Rule = Literal["first", "largest", "oldest", "newest"]
RULES: tuple[str, ...] = get_args(Rule)
PATH = "path="
"""Begins a rule that prefers items whose ids begin with the rest."""


class DuplicateGroup(NamedTuple):
    """Items that a chain of near-duplicates links, the one to keep first."""

    ids: list[str]
    positions: list[int]
    diameter: int
    """The largest distance between two of them, in bits."""
    verdicts: list[Verdict | None]
    """What was said of each."""

    @property
    def key(self) -> str:
        """The same for the same items."""
        return group_key(self.ids)

    @property
    def is_answered(self) -> bool:
        """Whether there is nothing left to say: each item is to be kept or removed."""
        return None not in self.verdicts


def checked_rule(keep: Any) -> str:
    """A rule for the item to keep.

    Raises:
        ValueError: another one.
    """
    if not (isinstance(keep, str) and keep.startswith(PATH)):
        choice("keep", keep, (*RULES, f"{PATH}PREFIX"))
    return str(keep)


def read_groups(
    items: Generation, found: Duplicates, radius: int, keep: str, known: Decisions, *, threads: int | None
) -> list[DuplicateGroup]:
    """The groups of an index as a person looks at them.

    Args:
        items: a state of the index.
        found: its groups.
        radius: that they were made with.
        keep: the rule for the item to keep.
        known: what was said before.
        threads: upper bound; by default the CPUs that this process may use.
    """
    database, verdicts = items.database, known.verdicts()
    pairs = sorted(map(sorted, known.distinct()))
    places = items.positions_of(Ids.of([name for pair in pairs for name in pair])).reshape(-1, 2)
    known_pairs = [(one, other) for one, other in places.tolist() if min(one, other) >= 0]
    found = told_apart(found, database, radius, known_pairs)
    groups = [group.tolist() for group in found.groups()]
    diameters = found.diameters(database, threads=threads).tolist()
    members = [position for group in groups for position in group]
    names, metadata = items.ids_at(members), items.metadata_at(np.array(members, dtype=np.int64))
    read, start = [], 0
    for positions, diameter in zip(groups, diameters, strict=True):
        columns = {name: values[start : start + len(positions)] for name, values in metadata.items()}
        ids = [names[position] for position in positions]
        order = ordered(ids, columns, keep, verdicts)
        said = [verdicts.get(ids[place]) for place in order]
        read.append(
            DuplicateGroup([ids[place] for place in order], [positions[place] for place in order], diameter, said)
        )
        start += len(positions)
    return read


def told_apart(found: Duplicates, database: Database, radius: int, pairs: Iterable[tuple[int, int]]) -> Duplicates:
    """Groups in which no chain goes from one item of a pair straight to the other: some fall into several.

    Args:
        found: the groups.
        database: their codes.
        radius: that they were made with.
        pairs: positions of two items each that are no duplicates of each other.
    """
    apart = [pair for pair in pairs if len(set(found.representatives[list(pair)])) == 1]
    if not apart:
        return found
    representatives, cut = found.representatives.copy(), set(map(frozenset, apart))
    for first in {int(representatives[one]) for one, _ in apart}:
        members = np.flatnonzero(found.representatives == first)
        codes = database.rows(members)
        near = within(codes, codes, radius)
        for piece in _pieces(members.tolist(), np.split(members[near.indices], near.offsets[1:-1]), cut):
            representatives[piece] = min(piece)
    return replace(found, representatives=representatives)


def ordered(
    ids: Sequence[str],
    metadata: Mapping[str, Sequence[Any]],
    keep: str,
    verdicts: Mapping[str, Verdict],
) -> list[int]:
    """The places of the items of a group, the one to keep first.

    Args:
        ids: of its m items.
        metadata: columns of m values each.
        keep: the rule.
        verdicts: id -> what was said. What is to be kept comes first, what is to be removed last.
    """
    places = list(range(len(ids)))

    def value(place: int, *names: str) -> Any:
        return next((metadata[name][place] for name in names if name in metadata and metadata[name][place]), None)

    if keep.startswith(PATH):
        places.sort(key=lambda place: not ids[place].startswith(keep.removeprefix(PATH)))
    elif keep == "largest":
        pixels = [(value(place, "width") or 0) * (value(place, "height") or 0) for place in places]
        places.sort(key=lambda place: (-pixels[place], -(value(place, "bytes") or 0)))
    elif keep == "oldest":
        places.sort(key=lambda place: value(place, "taken", "modified") or "~")
    elif keep == "newest":
        places.sort(key=lambda place: value(place, "taken", "modified") or "", reverse=True)
    order = {"keep": 0, None: 1, "remove": 2}
    places.sort(key=lambda place: order[verdicts.get(ids[place])])
    return places


def _pieces(members: Sequence[int], near: Sequence[NDArray[np.int64]], cut: set[frozenset[int]]) -> Iterator[list[int]]:
    """The items that chains of near ones link, without the links that are cut."""
    neighbors = dict(zip(members, near, strict=True))
    left = set(members)
    while left:
        first = min(left)
        reached, waiting = {first}, [first]
        while waiting:
            item = waiting.pop()
            new = {other for other in neighbors[item].tolist() if frozenset((item, other)) not in cut} - reached
            reached |= new
            waiting += new
        yield sorted(reached)
        left -= reached
