"""Invariants of an index, its handles and its folder."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from simulation.model import COLUMNS, State, condition

from vtsearch import reference
from vtsearch.index import Index, changes

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FOLDERS = ("codes", "items", "metadata", "tables")


class Violation(AssertionError):  # noqa: N818 (what a simulation looks for)
    """A broken invariant."""


def expect(what: str, found: Any, expected: Any) -> None:
    """Both are equal.

    Raises:
        Violation: they are not.
    """
    if found != expected:
        raise Violation(f"{what}: expected {_short(expected)}, got {_short(found)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 400 else f"{text[:400]}..."


def items_are(index: Index, state: State) -> None:
    """The index holds the items of a state, in their order.

    Raises:
        Violation: it does not.
    """
    expect("length", len(index), len(state))
    expect("description", index.description, {"about": state.description})
    expect("setting of tables", index._generation().about.tables, state.tables)
    expect("ids", index.ids(), state.ids)
    expect("codes", index.codes().tobytes(), state.codes.tobytes())
    labels = index.labels()
    expect("labels", None if labels is None else labels.tolist(), state.labels)


def all_is(index: Index, state: State, chance: random.Random) -> None:
    """The index answers everything as the list of the items of a state does.

    Raises:
        Violation: it does not.
    """
    items_are(index, state)
    expect("columns", index.columns(), {name: COLUMNS[name] for name in state.columns})
    if chance.random() < 0.5:
        expect("metadata", index.metadata(), state.metadata)
    _look_ups(index, state, chance)
    _searches(index, state, chance)


def _look_ups(index: Index, state: State, chance: random.Random) -> None:
    """Ids and metadata of some items, and the positions of some ids."""
    positions = {name: position for position, name in enumerate(state.ids)}
    names = [*chance.sample(state.ids, min(4, len(state))), "nobody", f"a{chance.randrange(14)}"]
    expect("positions", index.positions_of(names).tolist(), [positions.get(name, -1) for name in names])
    some = chance.sample(range(len(state)), min(3, len(state)))
    expect("ids at positions", index.ids_at(some), {position: state.ids[position] for position in some})
    at = {name: [values[position] for position in some] for name, values in state.metadata.items()}
    expect("metadata at positions", index.metadata_at(np.array(some, np.int64)), at)
    for position in some:
        expect("code", index.code(position).tobytes(), state.items[position].code)


def _searches(index: Index, state: State, chance: random.Random) -> None:
    """A condition, and a search among all items or those that it holds for."""
    asked, is_asked = condition(chance, state), chance.random() < 0.5
    mask = np.array([asked.holds(item) for item in state.items], np.bool_)
    if chance.random() < 0.5:
        expect(f"where {asked.sql}", index.where(asked.sql, asked.params).tolist(), mask.tolist())
        return
    query, k = np.frombuffer(chance.randbytes(2 * state.width), np.uint8).reshape(2, -1), chance.choice((1, 5, None))
    options: dict[str, Any] = {"where": asked.sql, "params": asked.params} if is_asked else {}
    answers = index.search(query, k, threads=1, **options)
    expected = reference.rank(query, state.codes, k, mask=mask if is_asked else None)
    expect("indices", answers.indices.tolist(), expected.indices.tolist())
    expect("distances", answers.distances.tolist(), expected.distances.tolist())
    expect("ids of answers", answers.ids, [[state.ids[i] for i in row] for row in expected.indices.tolist()])


def decisions_are(index: Index, state: State) -> None:
    """The folder of the index has the decisions of a state.

    Raises:
        Violation: it has others.
    """
    expect("decisions", [(verdict, tuple(ids)) for verdict, ids in index.decisions()], list(state.decisions))


def which_is(index: Index, states: Iterable[State], *, decided: bool = False) -> State:
    """The state that the index holds; with ``decided``, one whose decisions are in its folder.

    Raises:
        Violation: none of them, such as a mixture.
    """
    errors = []
    for state in states:
        try:
            items_are(index, state)
            expect("metadata", index.metadata(), state.metadata)
            if decided:
                decisions_are(index, state)
        except Violation as error:
            errors.append(str(error))
        else:
            return state
    raise Violation("none of the possible states: " + "; ".join(errors))


def folder_is_tidy(index: Index, strangers: Mapping[Path, bytes]) -> None:
    """In the folder are the files that the index names, those of others, and nothing else.

    Raises:
        Violation: a file that nobody has, or a missing one.
    """
    named = {index.path / part / name for segment in index.segments for part, name in segment.files.items()}
    there = {path for part in FOLDERS for path in (index.path / part).glob("*")}
    there |= {path for path in index.path.iterdir() if path.name not in FOLDERS}
    expected = {*named, *strangers, index.path / "index.sqlite"}
    for what, paths in (("missing files", expected - there), ("files that nobody has", there - expected)):
        expect(what, sorted(str(path.relative_to(index.path)) for path in paths), [])


def strangers_are_there(strangers: Mapping[Path, bytes]) -> None:
    """The files of others are as they were.

    Raises:
        Violation: they are not.
    """
    for path, content in strangers.items():
        expect(f"{path.name}, a file of somebody else", path.read_bytes() if path.exists() else None, content)


def segments_are_few(index: Index, *, compacted: bool) -> None:
    """There are few segments of one size at the end, and after ``compact`` no two neighbors that fit into one.

    A change joins those of one size only: if it also makes those of another size more, they are joined by the next one.

    Raises:
        Violation: there are more.
    """
    sizes = [segment.items for segment in index.segments]
    if min(sizes, default=1) < 1 or max(sizes, default=0) > changes.MOST_ROWS:
        raise Violation(f"segments of 1 to {changes.MOST_ROWS} items: got {sizes}")
    levels = [_level(size) for size in sizes]
    for level in range(_level(changes.MOST_ROWS)):
        last = next((i + 1 for i in reversed(range(len(levels))) if levels[i] > level), 0)
        if levels[last:].count(level) > 2 * changes.JOINED + 2 * sum(sizes[last:]) // changes.MOST_ROWS:
            raise Violation(f"few segments of one size at the end: got {sizes}")
    if any(2 * segment.items < segment.rows for segment in index.segments):
        raise Violation("at least half of the rows of each segment: got fewer")
    if compacted and any(one + other <= changes.MOST_ROWS for one, other in pairwise(sizes)):
        raise Violation(f"after compact no neighbors that fit one segment: got {sizes}")
    if compacted and any(segment.items != segment.rows for segment in index.segments):
        raise Violation("after compact no rows of removed items: got some")


def tables_are(index: Index, *, wanted: bool, least: int) -> None:
    """After ``compact``, segments of so many bytes of codes have tables if they are wanted, and no others.

    Raises:
        Violation: otherwise.
    """
    width = index.codes().shape[1]
    expected = [wanted and width > 2 and segment.items * width >= least for segment in index.segments]
    expect("segments with tables", [bool(segment.tables) for segment in index.segments], expected)


def _level(size: int) -> int:
    """The sizes that are joined with each other; one more of them joined belong to the next level."""
    return next(level for level in range(64) if size <= changes.SMALL_ROWS * changes.JOINED**level)
