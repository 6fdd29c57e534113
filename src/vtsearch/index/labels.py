"""Labels of an index: their form, and their representation in the files of items."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vtsearch._validate import choice, whole_number
from vtsearch.index.arrays import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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

    @classmethod
    def of_row(cls, kind: Any, classes: Any) -> LabelForm:
        """A form as it was stored.

        Raises:
            TypeError, ValueError: something else.
        """
        choice("labels", kind, ("none", "single", "multi"))
        return cls(kind, whole_number("classes", classes, 1 if kind == "multi" else 0))

    def layout(self, items: int) -> Layout:
        """The layout of the labels of some items in a file."""
        if self.kind == "single":
            return Layout("<i8", (items,))
        return Layout("|u1", (items, -(-self.classes // 8)) if self.kind == "multi" else (0,))

    def __str__(self) -> str:
        texts = {"none": "no labels", "single": "one label per item", "multi": f"0/1 labels of {self.classes} classes"}
        return texts[self.kind]


def same_form(expected: LabelForm, actual: LabelForm) -> None:
    """Refuse labels of another form than the index has."""
    if expected != actual:
        raise ValueError(f"labels: expected {expected} as in the index, got {actual}")


def pack_labels(labels: Labels | None) -> NDArray[Any]:
    """int64 (n,) as it is, 0/1 rows as packed bits, or an empty array for items without labels."""
    if labels is None:
        return np.empty(0, dtype=np.uint8)
    return labels if labels.ndim == 1 else np.packbits(labels.astype(bool), axis=1)


def label_values(packed: NDArray[Any], count: int) -> Iterable[int | bytes | None]:
    """Packed labels of ``count`` items as SQLite keeps them."""
    if packed.ndim == 2:
        return map(bytes, packed)
    return packed.tolist() if len(packed) == count else itertools.repeat(None, count)


def unpack_labels(parts: Sequence[NDArray[Any]], form: LabelForm) -> Labels | None:
    """The reverse for all parts: int64 (n,) or uint8 0/1 (n, classes), or None without labels."""
    if form.kind == "none":
        return None
    layout = form.layout(0)
    packed = np.concatenate([np.empty(layout.shape, layout.descr), *parts])
    return packed if form.kind == "single" else np.unpackbits(packed, axis=1, count=form.classes)
