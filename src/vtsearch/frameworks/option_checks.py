"""Validation of options dataclasses: non-negative numbers, and choices from literal types."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints


def check_options(options: Any, above_zero: tuple[str, ...] = ()) -> None:
    """Refuse numbers below 0 and words that a field's type does not list.

    Args:
        options: a dataclass whose fields are numbers, a ``Literal`` of words, or a number or such a word; the number
            that stands beside a word must be above 0.
        above_zero: names of the other fields that must be above 0.

    Raises:
        ValueError: the first field that is neither.
    """
    for name, kind in get_type_hints(type(options)).items():
        value = getattr(options, name)
        words = _words(kind)
        if value in words:
            continue
        if get_origin(kind) is Literal:
            raise ValueError(f"{name}: expected one of {', '.join(words)}, got {value!r}")
        positive = bool(words) or name in above_zero
        if not _is_number(value, positive):
            word = "".join(f" or {each!r}" for each in words)
            expected = f"a number above 0{word}" if positive else "at least 0"
            raise ValueError(f"{name}: expected {expected}, got {value!r}")


def _words(kind: Any) -> tuple[str, ...]:
    """The words of a Literal, or of the Literal in a union."""
    literals = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
    return tuple(word for part in literals for word in get_args(part))


def _is_number(value: Any, positive: bool) -> bool:
    if not isinstance(value, int | float):
        return False
    return value > 0 if positive else value >= 0
