"""Labels of an index: their form, their validation, and their representation in the SQLite table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Labels = NDArray[np.int64] | NDArray[np.uint8]


@dataclass(frozen=True)
class LabelForm:
    """How the items of an index are labelled: all of them alike."""

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
        words = {"none": "no labels", "single": "one label per item", "multi": f"0/1 labels of {self.classes} classes"}
        return words[self.kind]


def checked_labels(labels: ArrayLike | None, count: int) -> Labels | None:
    """int64 (n,) class ids, or uint8 0/1 (n, classes)."""
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.dtype.kind not in "biu":
        raise TypeError(f"labels: expected integers (n,) or 0/1 (n, classes), got {array.dtype}")
    if array.ndim not in {1, 2} or len(array) != count:
        raise ValueError(f"labels: expected ({count},) or ({count}, classes), one row per code, got {array.shape}")
    if array.ndim == 2:
        if array.size and (array.min() < 0 or array.max() > 1):
            raise ValueError("labels: expected 0 and 1 in (n, classes), got other numbers")
        return array.astype(np.uint8)
    if array.size and array.min() < 0:
        raise ValueError(f"labels: expected class ids of at least 0, got {array.min()}")
    return array.astype(np.int64)


def same_form(expected: LabelForm, given: LabelForm) -> None:
    """Refuse labels of another form than the index has."""
    if expected != given:
        raise ValueError(f"labels: expected {expected} as in the index, got {given}")


def pack_labels(labels: Labels | None, count: int) -> list[object]:
    """Labels as the column ``label`` keeps them: nothing, an integer, or the bits of a 0/1 row."""
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
