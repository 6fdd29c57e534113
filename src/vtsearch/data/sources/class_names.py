"""Class names that are probably none: missing values, and names that differ only in case."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

MISSING = frozenset({"", "nan", "null", "na", "n/a", "<na>", "nat"})
"""What programs write into a table for a value that is not there, in lower case."""
SHOWN = 3


def is_missing(name: str) -> bool:
    """Whether a class name is a missing value: nothing, ``nan``, ``null`` and the like, or a negative number."""
    return name.casefold() in MISSING or (name[:1] == "-" and name[1:].replace(".", "", 1).isdecimal())


def doubtful_names(classes: Iterable[str]) -> list[str]:
    """A sentence about classes whose names differ only in case, if there are any."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(name.casefold(), []).append(name)
    alike = [" and ".join(map(repr, names)) for names in groups.values() if len(names) > 1]
    return [f"classes: names that differ only in case are different classes: {_listed(alike)}"] if alike else []


def unused_numbers(labels: NDArray[np.int64], classes: int) -> list[str]:
    """A sentence about class numbers (n,) that begin above 0 or have gaps, if so."""
    used = set(labels.tolist())
    unused = [str(number) for number in range(classes) if number not in used]
    if not unused:
        return []
    hint = "; classes are numbered from 0" if unused[0] == "0" else ""
    missing = f"{len(unused):,} of them have no image: {_listed(unused)}{hint}"
    return [f"classes: the numbers go from 0 to {classes - 1:,}, and {missing}"]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
