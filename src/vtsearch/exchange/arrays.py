"""Arrays of the literature's scripts: which of a file hold codes and labels, and codes of signs, bits or features."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch.errors import suggestion
from vtsearch.exchange.items import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_PARTS = {
    "query": ("q", "query", "tst", "test", "val", "validation"),
    "database": ("r", "retrieval", "db", "database", "gallery"),
    "train": ("trn", "train"),
}
_ROLES = {
    "codes": ("b", "code", "codes", "hash", "hashes", "hashcode", "binary", "bin", "img", "feature", "features"),
    "labels": ("l", "label", "labels", "target", "targets"),
}


class Role(NamedTuple):
    """What an array's name says of it."""

    holds: str
    """"codes" or "labels"."""
    part: str
    """"query", "database", "train", or "" for a file of one part."""


def role_of(name: str) -> Role | None:
    """The role of an array such as ``q_B``, ``retrieval_L``, ``database_code``, ``trn_binary``, ``B_tst`` or ``rB``."""
    found = _NAMED.fullmatch(name.lower())
    if found is None:
        return None
    groups = {key.rstrip("_"): value for key, value in found.groupdict().items() if value is not None}
    (holds,) = (role for role, words in _ROLES.items() if groups["role"] in words)
    parts = [part for part, words in _PARTS.items() if groups.get("part") in words]
    return Role(holds, parts[0] if parts else "")


def _pattern() -> re.Pattern[str]:
    part = "|".join(word for words in _PARTS.values() for word in words)
    role = "|".join(word for words in _ROLES.values() for word in words)
    return re.compile(f"(?:(?P<part>{part})_?)?(?P<role>{role})|(?P<role_>{role})_(?P<part_>{part})")


_NAMED = _pattern()


def chosen_codes(source: str, names: Sequence[str], asked: str | None) -> str:
    """The name of the array of codes: the one asked for, or the only one whose name says so.

    Raises:
        ValueError: no such array, or several.
    """
    if asked is not None:
        return _known("codes", source, names, asked)
    found = [name for name in names if (role := role_of(name)) is not None and role.holds == "codes"]
    if len(found) != 1:
        have = ", ".join(found or names) or "no arrays"
        raise ValueError(f"codes: expected the name of the array of codes in {source}, which has {have}")
    return found[0]


def chosen_labels(source: str, names: Sequence[str], codes: str, asked: str | None) -> str | None:
    """The name of the array of labels: the one asked for, or the only one of the same part as the codes, or None.

    Raises:
        ValueError: no such array, or several.
    """
    if asked is not None:
        return _known("labels", source, names, asked)
    role = role_of(codes)
    part = "" if role is None else role.part
    found = [name for name in names if role_of(name) == Role("labels", part)]
    if len(found) > 1:
        raise ValueError(f"labels: expected the name of the array of labels in {source}, which has {', '.join(found)}")
    return found[0] if found else None


def _known(argument: str, source: str, names: Sequence[str], asked: str) -> str:
    if asked not in names:
        raise ValueError(f"{argument}: expected an array of {source}, got {asked!r}{suggestion(asked, names)}")
    return asked


# Codes


class Packed(NamedTuple):
    """Codes of an array."""

    codes: NDArray[np.uint8]
    bits: int
    remarks: tuple[str, ...] = ()


class _Values(NamedTuple):
    """What the values of an array are."""

    zeros: int
    has_minus_one: bool
    has_others: bool
    """Other values than -1, 0 and 1."""


def packed(source: str, array: NDArray[Any], bits: int | None) -> Packed:
    """Codes of packed bytes, of signs -1 and 1, of bits 0 and 1, or of real-valued features, whichever they are.

    A bit is ``value > 0``. Values of exactly 0 among signs or features are counted in a remark, since other programs
    may take them as 1.

    Args:
        source: file and array, for errors.
        array: (n, bytes) uint8; or (n, bits) bool, integers or floats.
        bits: length of the codes, if the caller knows it. It decides what uint8 values of 0 and 1 only are, which may
            be packed codes or one bit each.

    Raises:
        TypeError: an array of something else.
        ValueError: another shape; NaN; integers that are neither signs nor bits; another length; uint8 values of 0
            and 1 only and no ``bits``.
    """
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{source}: expected numbers, got {array.dtype}")
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{source}: expected (n, bytes) codes or (n, bits) values, got {array.shape}")
    columns = array.shape[1]
    values = _values(source, array)
    if array.dtype == np.uint8 and _are_bytes(source, array.shape, values, bits):
        return Packed(np.ascontiguousarray(array), 8 * columns if bits is None else bits)
    if bits not in (None, columns):
        raise ValueError(f"bits: expected {columns} as in {source}, got {bits}")
    if values.has_others and array.dtype.kind != "f":
        hint = "; packed codes of type int8 are format binary" if array.dtype == np.int8 else ""
        raise ValueError(f"{source}: expected signs, bits, packed uint8 codes or features, got other integers{hint}")
    codes = np.concatenate([np.zeros((0, -(-columns // 8)), np.uint8), *map(_pack, _blocks(array))])
    return Packed(codes, columns, _remarks(source, values))


def _are_bytes(source: str, shape: tuple[int, int], values: _Values, bits: int | None) -> bool:
    """Whether uint8 values are packed codes, rather than bits."""
    items, columns = shape
    if items == 0 or values.has_others or (bits is not None and bits != columns):
        return True
    if bits is None:
        raise ValueError(
            f"bits: expected {columns} or {8 * columns - 7} to {8 * columns}, since {source} has only 0 and 1, "
            "which are bits or packed codes; got none"
        )
    return False


def _values(source: str, array: NDArray[Any]) -> _Values:
    zeros, has_minus_one, has_others = 0, False, False
    for block in _blocks(array):
        if block.dtype.kind == "f" and np.isnan(block).any():
            raise ValueError(f"{source}: expected features without NaN, got NaN")
        ones, null, minus = (int(np.count_nonzero(block == value)) for value in (1, 0, -1))
        zeros += null
        has_minus_one |= minus > 0
        has_others |= ones + null + minus < block.size
    return _Values(zeros, has_minus_one, has_others)


def _remarks(source: str, values: _Values) -> tuple[str, ...]:
    if values.zeros and (values.has_minus_one or values.has_others):
        return (f"{source}: {values.zeros:,} values are exactly 0, which has no sign; they became bit 0",)
    return ()


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(array), ROWS):
        yield np.asarray(array[start : start + ROWS])


def _pack(block: NDArray[Any]) -> NDArray[np.uint8]:
    return np.packbits(block > 0, axis=1)


# Labels


def label_array(source: str, array: NDArray[Any], items: int, *, are_many: bool = False) -> NDArray[Any]:
    """Labels as an index takes them: int64 (n,), or 0/1 (n, classes).

    Args:
        source: file and array, for errors.
        array: (n,), (n, 1) or (1, n) whole numbers of any type, or (n, classes) of 0 and 1.
        items: n.
        are_many: whether a single column is that of one class.

    Raises:
        TypeError: no numbers.
        ValueError: another shape; numbers that are not whole.
    """
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{source}: expected whole numbers, got {array.dtype}")
    if array.ndim == 2 and 1 in array.shape and array.size == items and not are_many:
        array = array.reshape(-1)
    if array.ndim not in (1, 2) or len(array) != items:
        raise ValueError(f"{source}: expected labels of {items:,} items, got {array.shape}")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.trunc(array)).all()):
        raise ValueError(f"{source}: expected whole numbers, got fractions or NaN")
    if array.dtype.kind == "f" and array.size and np.abs(array).max() >= 2**63:
        raise ValueError(f"{source}: expected integers of 64 bits, got {np.abs(array).max()}")
    return array.astype(np.int64) if array.dtype.kind == "f" else array
