"""Text files as people have them: UTF-8 with or without a byte-order mark, UTF-16 and UTF-32 with one."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MARKS = (  # the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""First bytes of a file -> its encoding."""


def read_text(file: Path) -> str:
    """The text of a file, with its line ends as they are.

    Raises:
        FileNotFoundError: no such file.
        ValueError: bytes that are not UTF-8 (with file and line), or null characters.
    """
    content = file.read_bytes()
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as reason:
        line = content.count(b"\n", 0, reason.start) + 1
        hint = "; store it as UTF-8, for instance with iconv -f CP1252 -t UTF-8" if encoding == "utf-8" else ""
        got = f"got byte 0x{content[reason.start]:02x}"
        raise ValueError(
            f"{file}:{line}: expected text in {encoding.removesuffix('-sig').upper()}, {got}{hint}"
        ) from None
    if "\0" in text:
        raise ValueError(f"{file}: expected text, got null characters (UTF-16 without a byte-order mark?)")
    return text


def read_lines(file: Path) -> list[str]:
    """The lines of a text file without their ends, whichever of the three kinds; errors as of ``read_text``."""
    return [line.removesuffix("\n") for line in io.StringIO(read_text(file), newline=None)]
