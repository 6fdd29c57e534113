"""Text from files and arguments, made safe to print: control characters are shown as escape sequences."""

from __future__ import annotations

import re

_LINES = "\n\t\r"
# C0 and C1 controls and DEL; marks that reorder or break lines; halves of surrogate pairs, as in names not in UTF-8
_UNSAFE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
_IN_A_TEXT = re.compile(f"(?![{_LINES}])[{_UNSAFE}]")


def printable(text: object) -> str:
    r"""A value as text on one line: ``\x1b``, ``\n`` or ``\u202e`` stands for each control character.

    A terminal executes control characters, and a name with a line break reads as two. Letters of all scripts, spaces
    and backslashes stay as they are, so the result is for people: it cannot be turned back.
    """
    return _IN_A_LINE.sub(_escape, str(text))


def printable_lines(text: str) -> str:
    """The same for a text of several lines: line feeds, carriage returns and tabs stay."""
    return _IN_A_TEXT.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
