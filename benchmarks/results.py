"""What came out of a run: a row per case, its figures and whether they are met; kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cases import Case

ENGINE = "vtsearch"


class Verdict(NamedTuple):
    """A figure beside its bound."""

    name: str
    found: float
    bound: float
    met: bool


@dataclass(frozen=True)
class Row:
    """Gpairs/s by contender, and for average precision the memory that it took."""

    section: str
    case: Case
    one: Mapping[str, float]  # one thread
    all: Mapping[str, float]  # all threads, for those that use them
    mebibytes: float | None = None

    def best(self, family: str) -> float | None:
        """The fastest of the contenders whose names start so: FAISS counts in its better mode."""
        return max((speed for name, speed in self.one.items() if name.startswith(family)), default=None)

    def figure(self, name: str) -> float | None:
        """Gpairs/s, MiB, seconds, how many times faster than one thread, or than a contender; None if not measured."""
        if name == "MiB":
            return self.mebibytes
        if name == "seconds":
            return self.case.pairs / self.one[ENGINE] / 1e9
        if name == "one thread":
            return self.all[ENGINE] / self.one[ENGINE] if ENGINE in self.all else None
        rival = 1.0 if name == "Gpairs/s" else self.best(name)
        return None if rival is None else self.one[ENGINE] / rival

    def verdicts(self) -> list[Verdict]:
        """What is required of this row, as far as it was measured."""
        figures = ((name, self.figure(name), bound) for name, bound in self.case.required.items())
        return [Verdict(name, found, bound, met(name, found, bound)) for name, found, bound in figures if found]


def met(name: str, found: float, bound: float) -> bool:
    """Memory and time are bounded from above, all else from below."""
    return found <= bound if name in {"MiB", "seconds"} else found >= bound


@dataclass(frozen=True)
class Results:
    """A run: rows, and everything needed to repeat it."""

    machine: Mapping[str, Any]
    rows: list[Row]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        kept = json.loads(path.read_text())
        return cls(kept["machine"], [Row(**{**row, "case": Case(**row["case"])}) for row in kept["rows"]])
