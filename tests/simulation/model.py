"""Reference model of an index: a list of items in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

Kind = Literal["none", "single", "multi"]

CLASSES = 11
"""Of items with several labels each."""

COLUMNS = {"n": "INTEGER", "x": "REAL", "word": "TEXT"}
_TEXTS = ("", "a", "b", "it's", "größer", "日本")


class Item(NamedTuple):
    """An item of an index."""

    name: str
    code: bytes
    label: Any
    """An integer, a tuple of 0 and 1, or None."""
    n: int | None = None
    x: float | None = None
    word: str | None = None


@dataclass(frozen=True)
class State:
    """All items of an index, and the settings that decide answers."""

    kind: Kind
    """Of the labels, once there are items."""
    width: int
    """Bytes of a code."""
    items: tuple[Item, ...] = ()
    added: int = 0
    """Items that have been added so far."""
    columns: frozenset[str] = frozenset()
    description: str = ""
    tables: bool = False
    """Whether ``compact`` makes tables of codes."""
    decisions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Verdicts and ids, in the order in which they were made."""

    def with_decisions(self, new: Sequence[tuple[str, tuple[str, ...]]]) -> State:
        """The state after further decisions, which replace those of one kind on the same items."""
        kept = list(self.decisions)
        for verdict, names in new:
            kept = [
                (other, ids)
                for other, ids in kept
                if set(ids) != set(names) or (other == "distinct") != (verdict == "distinct")
            ]
            kept.append((verdict, names))
        return replace(self, decisions=tuple(kept))

    def without_decisions(self, names: Iterable[str]) -> State:
        """The state after what was said of some items has been forgotten."""
        gone = set(names)
        return replace(self, decisions=tuple(each for each in self.decisions if not gone & set(each[1])))

    def with_items(self, new: Sequence[Item]) -> State:
        """The state after items were added or replaced."""
        names = {item.name for item in new}
        left = tuple(item for item in self.items if item.name not in names)
        known = {name for name in COLUMNS if any(getattr(item, name) is not None for item in new)}
        added = self.added + len(new)
        return replace(self, items=(*left, *new), added=added, columns=self.columns | known)

    def without(self, names: Iterable[str]) -> State:
        """The state after items were removed."""
        gone = set(names)
        return replace(self, items=tuple(item for item in self.items if item.name not in gone))

    @cached_property
    def ids(self) -> list[str]:
        """The ids of all items."""
        return [item.name for item in self.items]

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """(n, width)."""
        return np.frombuffer(b"".join(item.code for item in self.items), np.uint8).reshape(-1, self.width)

    @cached_property
    def labels(self) -> list[Any] | None:
        """A label for each item; None if there never was any."""
        if self.kind == "none" or not self.added:
            return None
        return [list(item.label) if self.kind == "multi" else item.label for item in self.items]

    @cached_property
    def metadata(self) -> dict[str, list[Any]]:
        """The columns by name."""
        return {name: [getattr(item, name) for item in self.items] for name in self.columns}

    def __len__(self) -> int:
        return len(self.items)


class Condition(NamedTuple):
    """A condition in SQL and in Python."""

    sql: str
    params: Any
    holds: Callable[[Item], bool]
    columns: frozenset[str] = frozenset()
    """Of metadata."""
    kinds: tuple[Kind, ...] = ("none", "single", "multi")

    def fits(self, state: State) -> bool:
        """Whether an index has the columns of the condition."""
        kind = state.kind if state.added else "none"
        return self.columns <= state.columns and kind in self.kinds

    def names(self, state: State) -> list[str]:
        """The ids of the items that it holds for."""
        return [item.name for item in state.items if self.holds(item)]


def condition(chance: random.Random, state: State) -> Condition:
    """A condition on the items of an index."""
    number, name = chance.randrange(8), f"{chance.choice('abc')}{chance.randrange(14)}"
    half = number / 2
    some = [
        Condition("id >= ?", [name], lambda item: item.name >= name),
        Condition("id = :name", {"name": name}, lambda item: item.name == name),
        Condition("label = ?", [number], lambda item: item.label == number, kinds=("single",)),
        Condition("has_label(labels, ?)", [number], lambda item: bool(item.label[number]), kinds=("multi",)),
        Condition("n > ?", (number,), lambda item: item.n is not None and item.n > number, frozenset("n")),
        Condition("n IS NULL", (), lambda item: item.n is None, frozenset("n")),
        Condition("x < ? OR x IS NULL", (half,), lambda item: item.x is None or item.x < half, frozenset("x")),
        Condition("word IN ('a', 'it''s')", (), lambda item: item.word in ("a", "it's"), frozenset(["word"])),
    ]
    return chance.choice([each for each in some if each.fits(state)])


def new_items(chance: random.Random, state: State, names: Sequence[str]) -> list[Item]:
    """Items with these ids, some of them with metadata."""
    columns = [name for name in COLUMNS if chance.random() < 0.5] if chance.random() < 0.5 else []
    return [_new_item(chance, state, name, columns) for name in names]


def _new_item(chance: random.Random, state: State, name: str, columns: Sequence[str]) -> Item:
    values: dict[str, Any] = {"n": chance.randrange(8), "x": chance.randrange(16) / 4, "word": chance.choice(_TEXTS)}
    known = {column: values[column] for column in columns if chance.random() < 0.7}
    labels = {
        "none": None,
        "single": chance.randrange(8),
        "multi": tuple(chance.randrange(2) for _ in range(CLASSES)),
    }
    return Item(name, chance.randbytes(state.width), labels[state.kind], **known)


def arguments(items: Sequence[Item], kind: Kind, width: int) -> dict[str, Any]:
    """Codes, labels and metadata as an index takes them."""
    codes = np.frombuffer(b"".join(item.code for item in items), np.uint8).reshape(-1, width)
    labels = [item.label for item in items]
    array = None if kind == "none" else np.array(labels, np.int64 if kind == "single" else np.uint8)
    if kind == "multi":
        array = np.array(labels, np.uint8).reshape(-1, CLASSES)
    metadata = {name: [getattr(item, name) for item in items] for name in COLUMNS}
    known = {name: values for name, values in metadata.items() if any(value is not None for value in values)}
    return {"codes": codes, "labels": array, "metadata": known or None}
