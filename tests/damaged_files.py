"""Every byte of the files of an index flipped, every file cut at every length, and what becomes of the answers."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def damages(whole: bytes, step: int) -> Iterator[bytes]:
    """Contents of a file: with a bit of one byte flipped, or cut before it."""
    for position in range(0, len(whole), step):
        flipped = whole[position] ^ 1 << position % 8
        yield whole[:position] + bytes([flipped]) + whole[position + 1 :]
        yield whole[:position]


def outcome(folder: Path, answers: Callable[[Index], Any], expected: Any) -> str:
    """How a damaged index ends: refused at opening or by verify, or the same answers after both."""
    try:
        index = Index.open(folder)
    except VtsearchError:
        return "refused at opening"
    try:
        index.verify()
    except VtsearchError:
        return "refused by verify"
    return "answers unchanged" if answers(index) == expected else "SILENTLY WRONG"


def outcomes(
    folder: Path, answers: Callable[[Index], Any], expected: Any, step: Callable[[Path], int]
) -> collections.Counter[str]:
    """How often an index ends in which way; in the end its files are as they were.

    Args:
        folder: of the index.
        answers: all that an index says.
        expected: what this one says undamaged.
        step: between the bytes of a file that are damaged.
    """
    counts: collections.Counter[str] = collections.Counter()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for content in damages(whole, step(path)):
            path.write_bytes(content)
            counts[outcome(folder, answers, expected)] += 1
            for extra in ("-journal", "-wal", "-shm"):  # a flipped byte may ask for another mode of SQLite
                (folder / f"index.sqlite{extra}").unlink(missing_ok=True)
        path.write_bytes(whole)
    return counts
