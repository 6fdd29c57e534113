"""Validate labels and convert them to the compressed rows that the native code expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _native, _pages
from vtsearch._validate import as_array, is_binary

_LABEL_FORMS = "int (n,), or 0/1 (n, classes)"


@dataclass(frozen=True)
class LabelRows:
    """Labels of items in compressed rows: item i has ``classes[offsets[i]:offsets[i + 1]]``, ascending."""

    offsets: NDArray[np.int64]
    classes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, start: int, stop: int) -> LabelRows:
        """Items start .. stop - 1."""
        offsets = self.offsets[start : stop + 1]
        return LabelRows(offsets - offsets[0], self.classes[offsets[0] : offsets[-1]])

    def most(self) -> int:
        """The largest number of labels that one item has."""
        return int(np.diff(self.offsets).max(initial=0))


@dataclass
class DatabaseLabels:
    """Labels of a database, converted to rows over a list of classes on demand."""

    array: NDArray[Any]
    known: NDArray[np.int64] | None
    """The list, for single labels."""
    _all: LabelRows | None = None

    def rows(self, labels: NDArray[Any]) -> LabelRows:
        if self.known is None:
            return _multi_rows("db_labels", labels)
        return _single_rows(labels, self.known)

    def all_rows(self) -> LabelRows:
        """The rows of all items, converted once."""
        if self._all is None:
            self._all = self.rows(self.array)
            _pages.release(self.array)
        return self._all


@dataclass(frozen=True)
class Labels:
    """Labels of queries and of a database in one form: rows over one list of classes."""

    queries: LabelRows
    classes: int
    """Length of the list."""
    _database: DatabaseLabels

    @property
    def known(self) -> NDArray[np.int64] | None:
        """The list, for single labels; the classes themselves otherwise."""
        return self._database.known

    def of_queries(self, start: int, stop: int) -> Labels:
        """The labels for queries start .. stop - 1."""
        if (start, stop) == (0, len(self.queries)):
            return self
        return Labels(self.queries.rows(start, stop), self.classes, self._database)

    def database(self, start: int, stop: int) -> LabelRows:
        """The rows of items start .. stop - 1; those of all items are kept."""
        if (start, stop) == (0, len(self._database.array)):
            return self._database.all_rows()
        part = self._database.array[start:stop]
        rows = self._database.rows(part)
        _pages.release(part)
        return rows

    def of(self, items: NDArray[np.int64]) -> LabelRows:
        """The rows of some items."""
        part = self._database.array[items]
        _pages.release(self._database.array)
        return self._database.rows(part)


def label_pair(query_labels: ArrayLike, db_labels: ArrayLike, queries: int, items: int) -> Labels:
    """Validate both label arrays; the values of the database labels are checked as they are read."""
    query_array = item_labels("query_labels", query_labels, queries, "query_codes")
    db_array = item_labels("db_labels", db_labels, items, "db_codes")
    if query_array.shape[1:] != db_array.shape[1:]:
        raise ValueError(
            f"db_labels: expected the form of query_labels {query_array.shape}, "
            f"both (n,) or both (n, classes), got {db_array.shape}"
        )
    if query_array.ndim == 2:
        query_rows = _multi_rows("query_labels", query_array)
        return Labels(query_rows, query_array.shape[1], DatabaseLabels(db_array, None))
    # only the classes of the queries can make an item relevant
    numbers = _class_numbers("query_labels", query_array)
    known = np.unique(numbers)
    return Labels(_single_rows(numbers, known), len(known), DatabaseLabels(db_array, known))


def checked_labels(name: str, labels: ArrayLike, count: int, codes: str) -> NDArray[np.int64] | NDArray[np.uint8]:
    """Labels with all their values checked: int64 (n,), or uint8 0/1 (n, classes)."""
    array = item_labels(name, labels, count, codes)
    if array.ndim == 1:
        return _class_numbers(name, array)
    _refuse_other_values(name, array)
    return array.astype(np.uint8)


def item_labels(name: str, labels: ArrayLike, count: int, codes: str) -> NDArray[Any]:
    """Labels of the right form and length; their values are checked where they are used."""
    array = as_array(name, labels)
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise ValueError(f"{name}: expected {_LABEL_FORMS}, got {array.shape}")
    if array.ndim == 2 and array.shape[1] == 1:
        raise ValueError(
            f"{name}: expected {_LABEL_FORMS} of at least 2 classes, got {array.shape}; use {name}[:, 0] for class "
            "numbers; one class that only some items have needs a second column, of 0"
        )
    if len(array) != count:
        raise ValueError(f"{name}: expected {count} rows, one for each of {codes}, got {len(array)}")
    if array.dtype.kind not in ("iu" if array.ndim == 1 else "biuf") and count:
        raise TypeError(f"{name}: expected {_LABEL_FORMS}, got {array.dtype} {array.shape}")
    return array


def _class_numbers(name: str, labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.dtype.kind == "u" and labels.max(initial=0) > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: expected labels that fit int64, got {labels.max()}")
    return labels.astype(np.int64, copy=False)


def _single_rows(labels: NDArray[Any], classes: NDArray[np.int64]) -> LabelRows:
    return LabelRows(*_native.label_rows(_class_numbers("db_labels", labels), classes))


def _multi_rows(name: str, labels: NDArray[Any]) -> LabelRows:
    offsets = np.zeros(len(labels) + 1, dtype=np.int64)
    classes = [np.empty(0, dtype=np.int32)]
    step = max(1, 2**22 // labels.shape[1])
    for start in range(0, len(labels), step):
        block = labels[start : start + step]
        _refuse_other_values(name, block)
        rows, columns = np.nonzero(block)
        offsets[start + 1 : start + 1 + len(block)] = np.bincount(rows, minlength=len(block))
        classes.append(columns.astype(np.int32))
    np.cumsum(offsets, out=offsets)
    return LabelRows(offsets, np.concatenate(classes))


def _refuse_other_values(name: str, labels: NDArray[Any]) -> None:
    if not is_binary(labels):
        raise ValueError(f"{name}: expected 0 and 1 in (n, classes), got other values; class numbers are (n,) labels")
