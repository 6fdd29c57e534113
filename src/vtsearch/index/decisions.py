"""What people said of near-duplicates, by id: kept in the index, so that no question comes twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from vtsearch._validate import choice
from vtsearch.index.about import checked_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Verdict = Literal["keep", "remove", "distinct"]
VERDICTS: tuple[str, ...] = get_args(Verdict)


class Decision(NamedTuple):
    """What a person said of some items."""

    verdict: Verdict
    """"keep": this item stays, whatever is near it. "remove": it may go. "distinct": these are no duplicates of each
    other."""
    ids: tuple[str, ...]
    """One item; of "distinct" two or more."""


class Decisions(NamedTuple):
    """All decisions of an index."""

    decisions: tuple[Decision, ...] = ()
    """In the order in which they were made."""
    shown: frozenset[str] = frozenset()
    """Keys of the groups that were shown already."""

    def joined(self, new: Iterable[Decision]) -> Decisions:
        """With further decisions: "keep" and "remove" take the place of earlier ones on the same item."""
        joined = {_key(decision): decision for decision in self.decisions}
        for decision in new:
            joined.pop(_key(decision), None)
            joined[_key(decision)] = decision
        return self._replace(decisions=tuple(joined.values()))

    def without(self, ids: Sequence[str]) -> Decisions:
        """Without what was said of some items."""
        gone = set(ids)
        return self._replace(decisions=tuple(each for each in self.decisions if gone.isdisjoint(each.ids)))

    def renamed(self, names: Mapping[str, str]) -> Decisions:
        """With other ids for some items."""
        return self._replace(
            decisions=tuple(
                each._replace(ids=tuple(names.get(name, name) for name in each.ids)) for each in self.decisions
            )
        )

    def verdicts(self) -> dict[str, Verdict]:
        """Id -> "keep" or "remove"."""
        return {each.ids[0]: each.verdict for each in self.decisions if each.verdict != "distinct"}

    def distinct(self) -> set[frozenset[str]]:
        """The pairs of items that are no duplicates of each other."""
        sets = [each.ids for each in self.decisions if each.verdict == "distinct"]
        return {frozenset((one, other)) for ids in sets for one in ids for other in ids if one != other}

    def rows(self) -> list[tuple[str, str]]:
        """The rows of the table ``decisions``: verdict and ids as JSON; or "shown" and a key."""
        decisions = [(each.verdict, json.dumps(each.ids)) for each in self.decisions]
        return decisions + [("shown", key) for key in sorted(self.shown)]

    def checksum(self) -> str:
        """SHA-256 of all rows."""
        return hashlib.sha256(json.dumps(self.rows()).encode()).hexdigest()

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[str, str]]) -> Decisions:
        """The reverse.

        Raises:
            TypeError, ValueError: rows that hold something else.
        """
        rows = list(rows)
        decisions = [(verdict, json.loads(ids)) for verdict, ids in rows if verdict != "shown"]
        return cls(tuple(checked_decisions(decisions)), frozenset(key for verdict, key in rows if verdict == "shown"))


def checked_decisions(decisions: Iterable[Any]) -> list[Decision]:
    """A copy of decisions.

    Raises:
        TypeError: ids that are not strings; no pairs of a verdict and ids.
        ValueError: another verdict; another number of ids.
    """
    checked = []
    for each in decisions:
        if not isinstance(each, tuple) or len(each) != 2:
            raise TypeError(f"decisions: expected pairs of a verdict and ids, got {each!r}")
        verdict, ids = each
        choice("decisions", verdict, VERDICTS)
        names = checked_names("decisions", ids)
        if verdict == "distinct" and len(set(names)) < 2:
            raise ValueError(f"decisions: expected two or more ids that are distinct, got {names!r}")
        if verdict != "distinct" and len(names) != 1:
            raise ValueError(f"decisions: expected one id to {verdict}, got {names!r}")
        checked.append(Decision(verdict, names))
    return checked


def group_key(ids: Iterable[str]) -> str:
    """The same for the same items, in any order."""
    return hashlib.sha256(json.dumps(sorted(ids)).encode()).hexdigest()


def _key(decision: Decision) -> tuple[str, frozenset[str]]:
    """Decisions of one key take each other's place."""
    return "distinct" if decision.verdict == "distinct" else "one", frozenset(decision.ids)
