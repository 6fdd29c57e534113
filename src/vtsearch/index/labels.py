"""Labels of an index: their form, and their representation in the SQLite table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64] | NDArray[np.uint8]


@dataclass(frozen=True)
class LabelForm:
    """The form of all labels of an index."""

    kind: Literal["none", "single", "multi"] = "none"
    classes: int = 0
    """Columns of multi-label labels."""

    @classmethod
    def of(cls, labels: Labels | None) -> LabelForm:
        """The form of an array of labels."""
        if labels is None:
            return cls()
        return cls("single") if labels.ndim == 1 else cls("multi", labels.shape[1])

    def __str__(self) -> str:
        texts = {"none": "no labels", "single": "one label per item", "multi": f"0/1 labels of {self.classes} classes"}
        return texts[self.kind]


def same_form(expected: LabelForm, actual: LabelForm) -> None:
    """Refuse labels of another form than the index has."""
    if expected != actual:
        raise ValueError(f"labels: expected {expected} as in the index, got {actual}")


def pack_labels(labels: Labels | None, count: int) -> list[object]:
    """Values of the column ``label``: None, an integer, or the packed bits of a 0/1 row."""
    if labels is None:
        return [None] * count
    if labels.ndim == 1:
        return list(labels.tolist())
    return [row.tobytes() for row in np.packbits(labels.astype(bool), axis=1)]


def unpack_labels(rows: list[object], form: LabelForm) -> Labels:
    """The reverse: int64 (n,) or uint8 0/1 (n, classes)."""
    if form.kind == "single":
        return np.array(rows, dtype=np.int64)
    packed = np.frombuffer(b"".join(row for row in rows if isinstance(row, bytes)), dtype=np.uint8)
    return np.unpackbits(packed.reshape(len(rows), -(-form.classes // 8)), axis=1, count=form.classes)
