"""The search for near-duplicates: their groups, bounded or not, and the old items that they match."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtsearch import _database, _native, _validate
from vtsearch._database import Database
from vtsearch._validate import Codes, Progress
from vtsearch.duplicates.groups import Duplicates, members_of
from vtsearch.duplicates.items import in_one_array, reading_of, rising, unmasked
from vtsearch.duplicates.matches import match


def deduplicate(
    codes: NDArray[Any] | Database,
    radius: int,
    *,
    against: NDArray[Any] | Database | None = None,
    max_diameter: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Duplicates:
    """Groups of near-duplicates: items that a chain of items links, each within the radius of the next.

    The groups are exact, the same for any order of the items and any number of threads. Chains may be long: where a
    radius is too large, many items come together that are not alike. ``diameters()`` of the result shows that.

    With ``max_diameter`` such groups are split, into groups that depend on the order of the items. One starts at the
    first item that is in none, and grows: of the items within the radius of one of its items and within
    ``max_diameter`` of all of them, the one nearest to its first item joins, the first of several, until there is none.

    With ``against``, codes are new items and these are old ones. Groups are those of the new items alone. An item
    matches the nearest old item within the radius, the first of several. If one item of a group matches, nothing of
    that group is kept: the others are linked to the old item by a chain.

    Codes that agree in one of radius + 1 substrings are compared, or all pairs where that takes less time: a million
    codes of 64 bits take half a second at radius 4 on one core with AVX-512, half a minute at radius 12; up to 25 times
    as long where most of the pairs are near. Equal codes cost nothing. Memory is 8 bytes an item for the result and
    about 16 more on the way, and a copy of the codes, however many pairs are near. Of a ``np.memmap`` of more than 256
    MiB all pairs are compared, in windows of that size, two at a time, and without a copy; opened with mode "r", a
    window leaves memory when it is done with.

    Old items are read once, or once for each window of new ones, and compared in the same way: 100,000 new codes
    against a million take a fifth of a second at radius 4. That needs about 100 bytes more for each new item, a copy
    of the codes, and 100 MiB. A split compares codes inside of a group only: at worst all pairs, where many items stay
    alone.

    Args:
        codes: (n, bytes) uint8, packed, C-contiguous; a memory map is read in place. Other strides are copied up to
            64 MiB and refused beyond. (n, words) of uint16, uint32 or uint64 is read as its bytes.
            Or a ``Database``: the codes of several parts are first copied to one temporary file.
        radius: largest distance of a step, in bits; at least 0. With 0, groups are equal codes.
        against: codes of old items of the same width, or a ``Database``, whose parts are not copied.
        max_diameter: largest distance between two items of a group, in bits; at least 0. None means any.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all; `done` is scaled by the fraction of pairs compared.

    Returns:
        representatives int64 (n,): the smallest index of each item's group; ``groups()``, ``kept()`` and
        ``redundant()`` give the same as indices. With against, also matches int64 and match_distances int32, (n,).

    Raises:
        TypeError: codes that are not uint8; radius, max_diameter or threads that are not ints; progress that is not
            a function.
        ValueError: codes that are not (n, bytes) or exceed 8,191 bytes, or whose widths differ; a database with a mask;
            a radius or max_diameter below 0; threads below 1.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1]])
        >>> found = vtsearch.deduplicate(codes, radius=1)
        >>> found.representatives, found.groups(), found.kept()
        (array([0, 1, 0, 0]), [array([0, 2, 3])], array([0, 1]))
        >>> vtsearch.deduplicate(codes, radius=1, max_diameter=1).groups()
        [array([0, 2])]
        >>> found = vtsearch.deduplicate(codes, radius=1, against=vtsearch.pack([[1, 0, 0, 0]]))
        >>> found.matches, found.kept()
        (array([ 0, -1, -1, -1]), array([1]))

    Source: Florek et al., "Sur la liaison et la division des points d'un ensemble fini", Colloquium Mathematicum 1951
    (single linkage); Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012
    (substrings); Galler and Fisher, "An Improved Equivalence Algorithm", CACM 1964 (groups as trees).
    """
    database = unmasked("codes", codes)
    old = None if against is None else unmasked("against", against, database.width)
    reach, count = _validate.checked_radius(radius, 8 * database.width), _validate.thread_count(threads)
    most = None if max_diameter is None else _validate.whole_number("max_diameter", max_diameter, 0)
    report = rising(_validate.checked_progress(progress))
    stages = 1 + (most is not None) + (old is not None)

    def search(items: Codes) -> Duplicates:
        representatives = _groups(items, reach, count, _database.stage(report, 0, stages))
        if most is not None:
            bounds = reach, min(most, 8 * database.width)
            _split(items, representatives, bounds, count, _database.stage(report, 1, stages))
        if old is None:
            return Duplicates(representatives)
        distances, matches = match(items, old, reach, count, _database.stage(report, stages - 1, stages))
        return Duplicates(representatives, matches, distances)

    return in_one_array(database, search)


def _groups(items: Codes, reach: int, threads: int, report: Progress | None) -> NDArray[np.int64]:
    """(n,): the smallest index of each item's group."""
    n = len(items)
    told = None if report is None else lambda done: report(done, n)
    representatives = _native.deduplicate(items, reach, *reading_of(items, told, threads), threads)
    if report is not None:
        report(n, n)
    return representatives


def _split(
    items: Codes, representatives: NDArray[np.int64], bounds: tuple[int, int], threads: int, report: Progress | None
) -> None:
    """Split groups whose diameter is too large, in place; the bounds are those of a step and of the diameter."""
    n, (members, offsets), (reach, most) = len(items), members_of(representatives), bounds
    told = None if report is None else lambda done: report(done * n // (2 * len(members)), n)
    reading = reading_of(items, told, threads)
    representatives[members] = _native.split_groups(items, members, offsets, reach, most, *reading, threads)
    if report is not None:
        report(n, n)
