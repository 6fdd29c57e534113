"""Rankings, range searches, distances and their histograms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vtsearch import _answers, _database, _native, _selection, _validate
from vtsearch._database import Database
from vtsearch._exclusions import Exclude


class Ranking(NamedTuple):
    """Both (q, columns), nearest first; equal distances in the order of their index."""

    distances: NDArray[np.int32]
    indices: NDArray[np.int64]


class Neighbors(NamedTuple):
    """Lists of different lengths, one after the other: query i has the slice ``offsets[i]:offsets[i + 1]``."""

    offsets: NDArray[np.int64]
    distances: NDArray[np.int32]
    indices: NDArray[np.int64]


def rank(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    k: int | None = None,
    *,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    out: tuple[NDArray[np.int32], NDArray[np.int64]] | None = None,
) -> Ranking:
    """The k nearest database codes of each query, nearest first.

    A ``np.memmap`` of more than 256 MiB is read once, in ranges of that size, whatever the number of queries; opened
    with mode "r", a range leaves memory when it is done with. The results of all queries stay in memory: 12 bytes each,
    and up to three times that while they are put together.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, C-contiguous; a memory map is scanned in place. Other strides
            are copied up to 64 MiB and refused beyond. (n, words) of uint16, uint32 or uint64 is read as its bytes.
            Or a ``Database`` of several arrays.
        k: results per query, at least 1; None, or more than there are, means all.
        mask: (n,) bool, or (q, n) with a row for each query, or its ``numpy.packbits`` along the last axis, or the
            positions of the allowed items, ascending integers; others are ignored. With a row for each query, a larger
            file is read once for each 64 MiB of packed rows.
        exclude: positions in the database that a query ignores: (q,) integers, -1 for none; a sequence of q arrays
            where a query has several; or "self" where query i is item i.
        weights: (q, bits) integers from 0 to 63, as ``query_weights`` makes them of features: what a bit counts where
            a query and an item differ. By default 1: distances are then numbers of bits.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.
        out: distances int32 and indices int64 to fill and return, C-contiguous and of the very shape of the result, as
            of an earlier ranking: a loop then spends no time on new memory.

    Returns:
        distances int32 and indices int64, both (q, min(k, items allowed)), ordered by (distance, index). Nothing is
        padded: a k that not every query can fill is an error, unless all may find equally many items.

    Raises:
        TypeError: codes that are not uint8; k or threads that are not ints; a mask, positions or weights of another
            dtype; progress that is not a function; out that is not two arrays of these dtypes.
        ValueError: widths that differ or exceed 8,191 bytes; k or threads below 1; a mask or exclude of another length,
            positions outside the database; weights of another shape, outside 0 to 63, or with a sum above 65,534;
            queries that may find different numbers of items, if one has fewer than k; out of another shape or layout,
            read-only, or in the memory of the codes.

    Example:
        >>> import vtsearch
        >>> vtsearch.rank(vtsearch.pack([[1, 1, 0, 0]]), vtsearch.pack([[1, 0, 0, 0], [1, 1, 0, 0]]), k=1).indices
        array([[1]])
    """
    most = _validate.thread_count(threads)
    if mask is None and exclude is None and weights is None and progress is None and out is None:
        plain = _native.rank_plain(query_codes, db_codes, k, most, _database.RANGE_BYTES)
        if plain is not None:
            return Ranking(*plain)
    selection = _selection.select(query_codes, db_codes, mask, exclude, weights)
    report = _validate.checked_progress(progress)
    if out is not None:
        return Ranking(*_answers.rank_into(out, selection, k, most, report))
    return Ranking(*_answers.rank(selection, k, most, report))


def within(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    radius: int,
    *,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Neighbors:
    """All database codes within a radius of each query, nearest first.

    A file is read in ranges, as for ``rank``; its results take 12 bytes each, and twice that until they are in order.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``.
        radius: largest distance that counts, at least 0; in bits, unless they have weights.
        mask: (n,) bool, or (q, n) with a row for each query, or its ``numpy.packbits`` along the last axis, or the
            positions of the allowed items, ascending integers; others are ignored. With a row for each query, a larger
            file is read once for each 64 MiB of packed rows.
        exclude: positions in the database that a query ignores: (q,) integers, -1 for none; a sequence of q arrays
            where a query has several; or "self" where query i is item i.
        weights: (q, bits) integers, as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.

    Returns:
        offsets int64 (q + 1,), distances int32 and indices int64 (offsets[-1],). Query i has the slice
        offsets[i]:offsets[i + 1] of both, ordered by (distance, index).

    Raises:
        TypeError: codes that are not uint8; radius or threads that are not ints; a mask, positions or weights of
            another dtype; progress that is not a function.
        ValueError: widths that differ or exceed 8,191 bytes; a radius below 0; threads below 1; a mask or exclude of
            another length; positions outside the database; weights that ``rank`` refuses.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]])
        >>> vtsearch.within(codes, codes, 1)
        Neighbors(offsets=array([0, 2, 4, 5]), distances=array([0, 1, 0, 1, 0], dtype=int32), \
indices=array([0, 1, 1, 0, 2]))
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude, weights)
    reach, most = _validate.checked_radius(radius, selection.queries.farthest), _validate.thread_count(threads)
    return Neighbors(*_answers.within(selection, reach, most, _validate.checked_progress(progress)))


def count(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    radius: int,
    *,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]:
    """How many database codes lie within a radius of each query: faster than ``within`` and ``histogram``.

    A file is read in ranges, as for ``rank``.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``.
        radius: largest distance that counts, at least 0; in bits, unless they have weights.
        mask: (n,) bool, or (q, n) with a row for each query, or its ``numpy.packbits`` along the last axis, or the
            positions of the allowed items, ascending integers; others are ignored. With a row for each query, a larger
            file is read once for each 64 MiB of packed rows.
        exclude: positions in the database that a query ignores: (q,) integers, -1 for none; a sequence of q arrays
            where a query has several; or "self" where query i is item i.
        weights: (q, bits) integers, as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.

    Returns:
        (q,) int64.

    Raises:
        TypeError: codes that are not uint8; radius or threads that are not ints; a mask, positions or weights of
            another dtype; progress that is not a function.
        ValueError: widths that differ or exceed 8,191 bytes; a radius below 0; threads below 1; a mask or exclude of
            another length; positions outside the database; weights that ``rank`` refuses.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]])
        >>> vtsearch.count(codes, codes, 1)
        array([2, 2, 1])
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude, weights)
    reach, most = _validate.checked_radius(radius, selection.queries.farthest), _validate.thread_count(threads)
    return _answers.count(selection, reach, most, _validate.checked_progress(progress))


def distances(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    *,
    weights: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
    threads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """The distance of every query to every database code: how many bits differ, or the sum of their weights.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``.
        weights: (q, bits) integers, as for ``rank``.
        dtype: of the result: int32, uint16, or uint8 if no distance can exceed 255 (codes of up to 31 bytes without
            weights); by default int32, or that of out.
        threads: upper bound; by default the CPUs that this process may use.
        out: array (q, n) of one of these dtypes to fill and return, C-contiguous.

    Returns:
        (q, n), by default int32: 4 bytes for each pair.

    Raises:
        TypeError: codes that are not uint8; threads that are not an int; weights that are not integers; another dtype,
            or out of another one.
        ValueError: widths that differ or exceed 8,191 bytes; threads below 1; weights that ``rank`` refuses; out of
            another shape or layout, read-only, or in the memory of the codes.

    Example:
        >>> import vtsearch
        >>> vtsearch.distances(vtsearch.pack([[1, 1, 0, 0]]), vtsearch.pack([[1, 0, 0, 0], [1, 1, 0, 0]]))
        array([[1, 0]], dtype=int32)
    """
    queries, database, *_ = _selection.select(query_codes, db_codes, weights=weights)
    if database.mask is not None:
        raise ValueError("db_codes: expected a database without a mask, as all distances are asked for, got one")
    most, shape = _validate.thread_count(threads), (len(queries), len(database))
    allowed = _validate.distance_dtypes(dtype, queries.farthest)
    if out is None:
        out = np.empty(shape, dtype=np.int32 if dtype is None else dtype)
    else:
        _validate.check_out("out", out, allowed, shape, queries.codes, *database.parts)
    first = 0
    for codes in database.parts:
        _native.distances(queries.codes, codes, out[:, first : first + len(codes)], most, queries.weights)
        first += len(codes)
    return out


def histogram(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    *,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]:
    """How many database codes lie at each distance from each query. A file is read in ranges, as for ``rank``.

    Args:
        query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
        db_codes: (n, bytes) uint8 of the same width, as for ``rank``.
        mask: (n,) bool, or (q, n) with a row for each query, or its ``numpy.packbits`` along the last axis, or the
            positions of the allowed items, ascending integers; others are ignored. With a row for each query, a larger
            file is read once for each 64 MiB of packed rows.
        exclude: positions in the database that a query ignores: (q,) integers, -1 for none; a sequence of q arrays
            where a query has several; or "self" where query i is item i.
        weights: (q, bits) integers, as for ``rank``.
        threads: upper bound; by default the CPUs that this process may use.
        progress: called with items done and items in all as the scan goes on.

    Returns:
        (q, 8 * bytes + 1) int64; column d counts the items at distance d. With weights, columns are as many as the
        largest sum of those of a query, and one.

    Raises:
        TypeError: codes that are not uint8; threads that are not an int; a mask, positions or weights of another
            dtype; progress that is not a function.
        ValueError: widths that differ or exceed 8,191 bytes; threads below 1; a mask or exclude of another length;
            positions outside the database; weights that ``rank`` refuses.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]])
        >>> vtsearch.histogram(codes[:1], codes)
        array([[1, 1, 0, 0, 1, 0, 0, 0, 0]])
    """
    selection = _selection.select(query_codes, db_codes, mask, exclude, weights)
    most = _validate.thread_count(threads)
    return _answers.histogram(selection, most, _validate.checked_progress(progress))
