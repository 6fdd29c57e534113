"""Ranges of configuration values: one description of what is allowed, one message for what is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Finite numbers between two ends."""

    least: float = 0.0
    most: float = math.inf
    above: bool = False
    """Whether the lower end is left out."""
    below: bool = False
    """Whether the upper end is left out."""
    whole: bool = False
    """Whether only integers are allowed."""
    noun: str = ""
    """What the number is, where the message says so: "a share"."""

    def check(self, name: str, value: Any) -> None:
        """Refuse a value outside the range, NaN, an infinite number, and what is no number.

        Raises:
            ValueError: names the value and the range.
        """
        is_number = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if not is_number or not self._contains(value):
            raise ValueError(f"{name}: expected {self._expected(value if is_number else None)}, got {value!r}")

    def _contains(self, value: float) -> bool:
        enough = value > self.least if self.above else value >= self.least
        return enough and (value <= self.most if math.isfinite(self.most) and not self.below else value < self.most)

    def _expected(self, value: float | None) -> str:
        """``a share from 0 to below 1``, ``at least 1``, ``more than 0``: of closed ranges the end that was passed."""
        noun = f"{self.noun} " if self.noun else ""
        if value is None and self.whole:
            noun = "a whole number, "
        if self.above or self.below:
            start = f"above {self.least:g}" if self.above else f"from {self.least:g}"
            end = f"to below {self.most:g}" if self.below else f"to {self.most:g}"
            return noun + (f"more than {self.least:g}" if math.isinf(self.most) else f"{start} {end}")
        return noun + (
            f"at most {self.most:,}" if value is not None and value > self.most else f"at least {self.least:g}"
        )


def whole(least: int, most: float = math.inf) -> Range:
    """Integers from `least`, to `most` if it is given."""
    return Range(least, most, whole=True)
