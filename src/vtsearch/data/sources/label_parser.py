"""Collects the items of lists and tables: paths, validated labels, and their entries for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.image_files import is_number, refuse, zeros_and_ones

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.data.sources.image_files import Report

MOST_CLASSES = 100_000  # a larger number is not a class number


class LabelledItems:
    """Items in the order of their first entries; equal paths are one item."""

    def __init__(self, report: Report = refuse) -> None:
        self.names: list[str] = []
        self.paths: list[Path] = []
        self.where: list[str] = []
        self._labels: list[str] = []  # the columns of an item, joined
        self._columns = 0
        self._rows: dict[Path, int] = {}
        self._report = report

    def add(self, path: Path, name: str, labels: Sequence[str], where: str) -> int | None:
        """Add an item, if it is new; returns its position, or None if its labels have a fault.

        Args:
            path: of the image file.
            name: its id.
            labels: one class number, or zeros and ones; the same number for each item.
            where: its entry (file and line), for messages.

        Raises:
            ValueError: invalid labels, or labels that differ from an earlier entry of the path.
        """
        text = "".join(labels)
        if fault := self._fault(labels, text):
            self._report("labels", ValueError(f"{where}: {fault}"))
            return None
        known = self._rows.setdefault(path, len(self.paths))
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
            return f"expected labels 0 or 1, got {min(set(labels) - {'0', '1'})!r}" if wrong else None
        if is_number(text) and len(text) <= 6 and int(text) < MOST_CLASSES:
            return None
        return f"expected a class number from 0 to {MOST_CLASSES - 1:,}, got {text!r}"
