"""Databases of codes, and chunked scans of them: one pass for all queries, partial results merged."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _labels, _native, _pages, _validate
from vtsearch._masks import Mask, QueryMasks, checked_mask
from vtsearch._merging import joined, nearest
from vtsearch._queries import Lists, Queries, Rows
from vtsearch._tables import Tables
from vtsearch._validate import Codes, Progress

RANGE_BYTES = 256 * 2**20
"""Size of a range of a mapped file, of which one is in memory at a time; smaller files are scanned whole."""

REPORTED_PAIRS = 10**10
"""Pairs compared between two calls of ``progress``: about a second of one core."""

FEWEST_REPORTED = 2**22
"""Fewest items between two calls of ``progress``: merging shorter ranges would cost noticeable time."""


Done = Callable[[int], None]
"""Called with the number of further items that are done."""


class Scanner(Protocol):
    """Answers the scans of a whole database, such as one that lies on several machines."""

    def rank(self, queries: Queries, k: int, mask: Mask | QueryMasks | None, done: Done) -> Rows:
        """As ``scan_rank``."""

    def within(self, queries: Queries, radius: int, mask: Mask | QueryMasks | None, done: Done) -> Lists:
        """As ``scan_within``."""

    def count(self, queries: Queries, radius: int, mask: Mask | QueryMasks | None, done: Done) -> NDArray[np.int64]:
        """As ``scan_count``."""

    def histogram(self, queries: Queries, mask: Mask | QueryMasks | None, done: Done) -> NDArray[np.int64]:
        """As ``scan_histogram``."""


class Database:
    """Codes in one or several arrays, with an optional mask and labels; they are never joined in memory.

    Every function that takes ``db_codes`` takes a database too.

    Args:
        parts: (n, bytes) uint8, or a sequence of such arrays of one width; a ``np.memmap`` is scanned in place.
        mask: (n,) bool over all parts, or its ``numpy.packbits``, or the positions of the allowed items, ascending.
        labels: (n,) integers, or (n, classes) of 0 and 1, of all parts, as metrics take them.

    Raises:
        TypeError: codes that are not uint8; a mask of another dtype.
        ValueError: no parts, parts of different widths, a mask or labels of another length.

    Example:
        >>> import numpy as np, vtsearch
        >>> parts = [vtsearch.pack([[1, 1, 0, 0]]), vtsearch.pack([[1, 0, 0, 0], [0, 0, 1, 1]])]
        >>> vtsearch.rank(parts[0], vtsearch.Database(parts, mask=[True, False, True])).indices
        array([[0, 2]])
    """

    def __init__(
        self,
        parts: NDArray[Any] | Sequence[NDArray[Any]],
        *,
        mask: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> None:
        alone = isinstance(parts, np.ndarray) or _validate.is_tensor(parts)
        arrays: list[Any] = [parts] if alone else list(parts)
        if not arrays:
            raise ValueError("parts: expected at least one array of codes, got none")
        names = ["parts"] if alone else [f"parts[{number}]" for number in range(len(arrays))]
        self.parts = [_validate.codes_to_scan(name, codes) for name, codes in zip(names, arrays, strict=True)]
        """The arrays, (n, bytes) uint8 each."""
        for name, codes in zip(names, self.parts, strict=True):
            if codes.shape[1] != self.width:
                raise ValueError(f"{name}: expected {self.width} bytes per code as in {names[0]}, got {codes.shape[1]}")
        self._length = sum(map(len, self.parts))
        self.mask = checked_mask(mask, self._length)
        """The validated mask, or None."""
        self.labels = None if labels is None else _labels.item_labels("labels", labels, self._length, "parts")
        """The labels of all items, or None."""
        self.tables: Tables | None = None
        """Tables of the codes of some or all parts."""
        self.scanner: Scanner | None = None
        """Answers in place of a scan by this process."""

    @classmethod
    def of_array(cls, codes: Codes, mask: ArrayLike | None) -> Self:
        """A database of one validated array, without the checks of the constructor: small calls take microseconds."""
        database = cls.__new__(cls)
        database.parts, database._length = [codes], len(codes)  # noqa: SLF001 (its own)
        database.mask, database.labels, database.tables = checked_mask(mask, len(codes)), None, None
        database.scanner = None
        return database

    def __len__(self) -> int:
        return self._length

    @property
    def width(self) -> int:
        """Bytes per code."""
        return int(self.parts[0].shape[1])

    def rows(self, positions: NDArray[np.int64]) -> Codes:
        """A copy of the codes at some positions, ascending, of which the others are not read."""
        cuts = np.cumsum([0, *map(len, self.parts)])
        bounds = np.searchsorted(positions, cuts)
        pieces = zip(self.parts, cuts, bounds, bounds[1:], strict=False)
        return np.concatenate([part[positions[start:stop] - first] for part, first, start, stop in pieces])

    def labels_or(self, db_labels: ArrayLike | None) -> ArrayLike:
        """The labels given to a metric, or else those of the database.

        Raises:
            ValueError: both, or neither.
        """
        if db_labels is not None and self.labels is not None:
            raise ValueError("db_labels: expected none beside a database with labels, got both")
        if db_labels is None and self.labels is None:
            raise ValueError("db_labels: expected the labels of the database, got none")
        return self.labels if db_labels is None else db_labels  # type: ignore[return-value]

    def with_mask(self, mask: Mask | None) -> Database:
        """The same codes, labels and tables with another mask."""
        other = copy.copy(self)
        other.mask = mask
        return other

    def with_labels(self, labels: ArrayLike) -> Database:
        """The same codes, mask and tables with labels; checked as in the constructor."""
        other = copy.copy(self)
        other.labels = _labels.item_labels("labels", labels, self._length, "parts")
        return other

    def with_tables(self, tables: Tables | None) -> Database:
        """The same codes, mask and labels with tables, whose parts are some of these."""
        other = copy.copy(self)
        other.tables = tables
        return other

    def with_scanner(self, scanner: Scanner) -> Database:
        """The same codes, mask and labels, of which something else answers the scans."""
        other = self.with_tables(None)
        other.scanner = scanner
        return other

    def recorded(self) -> Database:
        """The same, with tables that remember how they find the answers of one search.

        Raises:
            ValueError: something else answers the scans.
        """
        if self.scanner is not None:
            raise ValueError("explain: expected an index that this process searches, got a sharded one")
        return self.with_tables(None if self.tables is None else self.tables.recorded())

    def allowed(self) -> int:
        """The number of items that the mask allows."""
        return self._length if self.mask is None else self.mask.count()

    def codes_of(self, items: NDArray[np.int64]) -> Codes:
        """(items, bytes): a copy of the codes of some items."""
        if len(self.parts) == 1:
            return np.asarray(self.parts[0][items])
        codes = np.empty((len(items), self.width), dtype=np.uint8)
        first = 0
        for part in self.parts:
            here = (items >= first) & (items < first + len(part))
            codes[here] = part[items[here] - first]
            first += len(part)
        return codes


def query_and_database(
    query_codes: NDArray[Any],
    db_codes: NDArray[Any] | Database,
    mask: ArrayLike | None = None,
    *,
    names: tuple[str, str] = ("query_codes", "db_codes"),
) -> tuple[Codes, Database]:
    """Validated query codes, and a database of the same width.

    Raises:
        ValueError: widths that differ; a mask beside a database with one.
    """
    if not isinstance(db_codes, Database):
        queries, codes = _validate.code_pair(query_codes, db_codes, names)
        return queries, Database.of_array(codes, mask)
    queries, _ = _validate.code_pair(query_codes, db_codes.parts[0], names)
    if mask is None:
        return queries, db_codes
    if db_codes.mask is not None:
        raise ValueError("mask: expected none beside a database with a mask, got both")
    return queries, db_codes.with_mask(checked_mask(mask, len(db_codes)))


class Range(NamedTuple):
    """Items first .. stop - 1 of a database."""

    first: int
    stop: int
    codes: Codes
    has_tables: bool = False

    def renumber(self, indices: NDArray[np.int64]) -> None:
        """Shift indices within this range to those of the whole database, in place."""
        if self.first != 0:
            indices += self.first


class Scan:
    """One pass over a database: iteration yields its ranges in order.

    A part in memory is one range, unless progress is reported. Files larger than RANGE_BYTES are cut into ranges; each
    is scanned for all queries, and its pages are then released.
    """

    def __init__(
        self,
        database: Database,
        queries: int,
        progress: Progress | None = None,
        *,
        masks: QueryMasks | None = None,
        beside: int = 0,
    ) -> None:
        """``masks``: in place of that of the database; ``beside``: bytes needed for each item of the current range."""
        self._database, self.items = database, len(database)
        self._only: bool | None = None
        self.mask = database.mask if masks is None else masks
        self.tables = database.tables if masks is None else None
        """That may answer instead: not if masks differ between queries."""
        self.scanner = database.scanner
        self._report, self._is_read = None if progress is None else _Report(progress, self.items), False
        self._too_large = self.items * database.width > RANGE_BYTES
        self._length = self.items
        if progress is not None or (self._too_large and any(map(_pages.is_mapped, database.parts))):
            self._length = RANGE_BYTES // (database.width + beside)
        if progress is not None:
            self._length = min(self._length, max(REPORTED_PAIRS // max(queries, 1), FEWEST_REPORTED))

    @functools.cached_property
    def _ranges(self) -> list[Range]:
        database = self._database
        assert database.scanner is None or sum(map(len, database.parts)) == len(database), "the codes are not here"
        if len(database.parts) == 1 and self._length >= len(database):
            ranges = [Range(0, len(database), database.parts[0], database.tables is not None)]
        else:
            ranges = list(_cut(database, max(-(-self._length // 8), 1) * 8))  # whole bytes of a packed mask
        return ranges if self._only is None else [each for each in ranges if each.has_tables == self._only]

    @property
    def whole(self) -> bool:
        """Whether there is one range only."""
        return len(self._ranges) == 1

    @property
    def shared_mask(self) -> Mask | None:
        """The mask of the database."""
        return self._database.mask

    def part(self, *, with_tables: bool) -> Scan:
        """A pass over the items that have tables, or over the others."""
        part, tabled = copy.copy(self), 0 if self.tables is None else len(self.tables)
        part.__dict__.pop("_ranges", None)  # made when they are read: tables often answer without
        part._only, part.tables = with_tables, None  # noqa: SLF001 (its own)
        part.items = tabled if with_tables else self.items - tabled
        return part

    def done(self, items: int) -> None:
        """Report further items as done."""
        if self._report is not None:
            self._report.add(items)

    def finish(self) -> None:
        """Report all items as done, unless they were read."""
        if self._report is not None and not self._is_read:
            self._report.add(self.items)

    def __iter__(self) -> Iterator[Range]:
        self._is_read = True
        for each in self._ranges:
            try:
                yield each
            finally:
                if self._too_large:
                    _pages.release(each.codes)
            if self._report is not None:
                self._report.add(each.stop - each.first)


class _Report:
    """How far a pass is."""

    def __init__(self, progress: Progress, items: int) -> None:
        self._progress, self._items, self._done = progress, items, 0

    def add(self, items: int) -> None:
        """Report further items as done."""
        self._done += items
        self._progress(self._done, self._items)


def _cut(database: Database, length: int) -> Iterator[Range]:
    tabled = () if database.tables is None else database.tables.parts
    first = 0
    for codes in database.parts:
        for start in range(0, len(codes), length):
            piece = codes[start : start + length]
            yield Range(first + start, first + start + len(piece), piece, any(part.has(first) for part in tabled))
        first += len(codes)
    if first == 0:  # an empty database has one range, so that every result has its shape
        yield Range(0, 0, database.parts[0])


def stage(progress: Progress | None, number: int, stages: int) -> Progress | None:
    """The progress callback of one of several passes, each an equal share of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress((number * total + done) // stages, total)


# Kernel results merged over all ranges


def scan_rank(queries: Queries, scan: Scan, k: int, threads: int, out: Rows | None = None) -> Rows:
    """The k nearest of each query, ordered by (distance, index); ``out`` is filled if the scan has one range only."""
    if scan.scanner is not None:
        return scan.scanner.rank(queries, k, scan.mask, scan.done)
    if scan.tables is None or queries.weights is not None:
        return _rank(queries, scan, k, threads, out)
    tabled, others = scan.part(with_tables=True), scan.part(with_tables=False)
    top = min(k, len(scan.tables))
    found = scan.tables.rank(queries, top, scan.shared_mask, threads, lambda some: _rank(some, tabled, k, threads))
    tabled.finish()
    return nearest([found, _rank(queries, others, k, threads)], k) if others.items else found


def _rank(queries: Queries, scan: Scan, k: int, threads: int, out: Rows | None = None) -> Rows:
    kept = out if scan.whole else None

    def found() -> Iterator[Rows]:
        for each in scan:
            top = min(k, len(each.codes))
            bits = allowed_bits(scan.mask, each)
            distances, indices = _native.rank(queries.codes, each.codes, top, bits, threads, kept, queries.weights)
            each.renumber(indices)
            yield distances, indices

    return functools.reduce(lambda before, here: nearest([before, here], k), found())


def scan_within(queries: Queries, scan: Scan, radius: int, threads: int) -> Lists:
    """All items within the radius of each query, ordered by (distance, index)."""
    if scan.scanner is not None:
        return scan.scanner.within(queries, radius, scan.mask, scan.done)
    if scan.tables is None or queries.weights is not None:
        return _within(queries, scan, radius, threads)
    tabled, others = scan.part(with_tables=True), scan.part(with_tables=False)
    found = scan.tables.within(
        queries, radius, scan.shared_mask, threads, lambda some: _within(some, tabled, radius, threads)
    )
    tabled.finish()
    return joined([found, _within(queries, others, radius, threads)]) if others.items else found


def _within(queries: Queries, scan: Scan, radius: int, threads: int) -> Lists:
    found: list[Lists] = []
    for each in scan:
        offsets, distances, indices = _native.within(
            queries.codes, each.codes, radius, allowed_bits(scan.mask, each), threads, queries.weights
        )
        each.renumber(indices)
        found.append((offsets, distances, indices))
    return found[0] if len(found) == 1 else joined(found)


def scan_count(queries: Queries, scan: Scan, radius: int, threads: int) -> NDArray[np.int64]:
    """(q,) items within the radius."""
    if scan.scanner is not None:
        return scan.scanner.count(queries, radius, scan.mask, scan.done)
    found = (
        _native.count(queries.codes, each.codes, radius, allowed_bits(scan.mask, each), threads, queries.weights)
        for each in scan
    )
    return functools.reduce(operator.add, found)


def scan_histogram(queries: Queries, scan: Scan, threads: int) -> NDArray[np.int64]:
    """(q, largest distance + 1) items at each distance."""
    if scan.scanner is not None:
        return scan.scanner.histogram(queries, scan.mask, scan.done)
    found = (
        _native.histogram(queries.codes, each.codes, allowed_bits(scan.mask, each), threads, queries.weights)
        for each in scan
    )
    return functools.reduce(operator.add, found)


def allowed_bits(mask: Mask | QueryMasks | None, items: Range) -> NDArray[np.uint8] | None:
    """The part of a mask for a range, as the engine takes it."""
    return None if mask is None else mask.bits(items.first, items.stop)
