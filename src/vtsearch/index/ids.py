"""External ids: validation, the bytes that stand for them, and the sorted table that finds them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vtsearch.index.about import checked_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ROW_BITS = 32
"""Of a row in the table that finds ids; above it is the CRC-32 of the id."""

_ROW = np.uint64((1 << ROW_BITS) - 1)


class Ids(NamedTuple):
    """Ids as they are stored."""

    texts: list[bytes]
    """UTF-8; names of files may hold bytes that are not, which stand as lone surrogates."""
    sums: NDArray[np.uint64]
    """The CRC-32 of each."""

    @classmethod
    def of(cls, names: Sequence[str]) -> Ids:
        """The ids with these names."""
        joined = "\0".join(names).encode("utf-8", "surrogatepass")
        texts = joined.split(b"\0") if names else []
        if len(texts) != len(names):  # some id has a zero
            texts = [name.encode("utf-8", "surrogatepass") for name in names]
        return cls(texts, np.fromiter(map(zlib.crc32, texts), np.uint64, len(texts)))

    @classmethod
    def checked(cls, names: Sequence[str], count: int) -> Ids:
        """``count`` different ids.

        Raises:
            TypeError: names that are not strings.
            ValueError: another number of them; one that comes twice.
        """
        strings = checked_names("ids", names if isinstance(names, str) else list(names))
        if len(strings) != count:
            raise ValueError(f"ids: expected {count} strings, one per code, got {len(strings)}")
        ids = cls.of(strings)
        twice = ids.first_repeated()
        if twice is not None:
            raise ValueError(f"ids: expected different ids, got {ids.name(twice)!r} twice")
        return ids

    def name(self, number: int) -> str:
        """One id as a string."""
        return self.texts[number].decode("utf-8", "surrogatepass")

    def part(self, piece: slice) -> Ids:
        """Some of the ids."""
        return Ids(self.texts[piece], self.sums[piece])

    def first_repeated(self) -> int | None:
        """The first id that has been there before, or None; only those of one sum are compared."""
        table = table_of(self.sums)
        alike = np.flatnonzero(np.diff(table >> np.uint64(ROW_BITS)) == 0)
        seen: set[bytes] = set()
        for row in np.sort(rows_of(table[np.union1d(alike, alike + 1)])).tolist():
            if self.texts[row] in seen:
                return int(row)
            seen.add(self.texts[row])
        return None


def refuse_unknown(argument: str, path: Path, names: Sequence[str], positions: NDArray[np.int64]) -> None:
    """Refuse ids that an index does not have, whose positions are -1.

    Raises:
        ValueError: names the argument, the index and the first of them.
    """
    unknown = positions < 0
    if unknown.any():
        raise ValueError(f"{argument}: expected ids in {path}, got {names[int(unknown.argmax())]!r}")


def table_of(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The table that finds rows by the CRC-32 of their ids: both in one number, ascending."""
    table = sums << np.uint64(ROW_BITS) | np.arange(len(sums), dtype=np.uint64)
    table.sort()
    return table


def sums_of(table: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The reverse: the CRC-32 of the id of each row."""
    sums = np.empty(len(table), dtype=np.uint64)
    sums[rows_of(table)] = table >> np.uint64(ROW_BITS)
    return sums


def rows_of(entries: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The rows of some entries of a table."""
    return (entries & _ROW).astype(np.int64)


def bounds_of(table: NDArray[np.uint64], sums: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the entries of each sum begin and end in a table."""
    keys = sums << np.uint64(ROW_BITS)
    order = np.argsort(keys)  # searches in order stay in the cache
    first, stop = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    first[order] = np.searchsorted(table, keys[order])
    stop[order] = np.searchsorted(table, keys[order] | _ROW, side="right")
    return first, stop
