"""Collects the items of lists and tables: paths, validated labels, and their entries for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.fetch import is_url
from vtsearch.data.sources.image_files import is_number, refuse, without_prefix, zeros_and_ones

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.data.sources.image_files import Report

MOST_CLASSES = 100_000  # a larger number is not a class number


class LabelledItems:
    """Items in the order of their first entries; equal paths are one item.

    Args:
        report: called with each fault.
        columns: names of the label columns, for messages.
        strip_prefix: removed from the beginning of each path; paths that begin otherwise are faults.
    """

    def __init__(self, report: Report = refuse, *, columns: Sequence[str] = (), strip_prefix: str = "") -> None:
        self.names: list[str] = []
        self.paths: list[Path] = []
        self.where: list[str] = []
        self._labels: list[str] = []  # the columns of an item, joined
        self._columns = 0
        self._rows: dict[Path | str, int] = {}
        self._report = report
        self._column_names = tuple(columns)
        self._prefix = strip_prefix

    def add(self, folder: Path, name: str, labels: Sequence[str], where: str) -> int | None:
        """Add an item, if it is new; returns its position, or None if its path or labels have a fault.

        Args:
            folder: what the path is relative to.
            name: the path of the image file; without the prefix to strip it is the id.
            labels: one class number, or zeros and ones; the same number for each item.
            where: its entry (file and line), for messages.

        Raises:
            ValueError: invalid labels, labels that differ from an earlier entry of the path, or a path without the
                prefix to strip.
        """
        text = "".join(labels)
        stripped = without_prefix(name, self._prefix)
        if stripped is None:
            wanted = f"strip_prefix: expected a path that begins with {self._prefix!r}"
            self._report("labels", ValueError(f"{where}: {wanted}, got {name!r}"))
            return None
        path, name = folder / stripped, stripped
        if fault := self._fault(labels, text):
            self._report("labels", ValueError(f"{where}: {fault}"))
            return None
        known = self._rows.setdefault(name if is_url(name) else path, len(self.paths))  # a path is no URL with "//"
        if known == len(self.paths):
            self.paths.append(path)
            self.names.append(name)
            self.where.append(where)
            self._labels.append(text)
            self._columns = len(labels)
        elif self._labels[known] != text:
            self._report("labels", ValueError(f"{where}: {name} has other labels than at {self.where[known]}"))
        return known

    def label_array(self) -> NDArray[Any]:
        """int64 (n,) or uint8 0/1 (n, classes).

        Raises:
            ValueError: no item.
        """
        if not self._labels:
            raise ValueError("labels: expected an image with labels, got none without a fault")
        if self._columns == 1:
            return np.array([int(label) for label in self._labels], dtype=np.int64)
        return zeros_and_ones("".join(self._labels)).reshape(-1, self._columns)

    def _fault(self, labels: Sequence[str], text: str) -> str | None:
        columns = self._columns or len(labels)
        if not labels or len(labels) != columns:
            return f"expected {columns or 'at least 1'} label columns after the path, got {len(labels)}"
        if columns > 1:
            wrong = len(text) != columns or "" in labels or text.strip("01")  # else each is one of the two
            return self._wrong_column(labels) if wrong else None
        if is_number(text) and len(text) <= 6 and int(text) < MOST_CLASSES:
            return None
        return f"expected a class number from 0 to {MOST_CLASSES - 1:,}, got {text!r}"

    def _wrong_column(self, labels: Sequence[str]) -> str:
        column, label = next(pair for pair in enumerate(labels) if pair[1] not in ("0", "1"))
        named = f"column {self._column_names[column]!r}: " if self._column_names else ""
        hint = "; without a column label every column but path and split is a class" if named else ""
        return f"{named}expected labels 0 or 1, got {label!r}{hint}"
