"""The items of a data set in Python, such as one of torch, as a source."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from vtsearch.data.sources.array_images import class_labels, numbered_classes
from vtsearch.data.sources.decode import PixelRule, read_opened
from vtsearch.errors import require_extra

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

KINDS = "a Pillow image, a uint8 array (h, w, 3) or a uint8 tensor (3, h, w)"


@runtime_checkable
class LabelledItems(Protocol):
    """A data set by its protocol: its items are an image and a label. torch's ``Dataset`` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> Any: ...


class DatasetImages:
    """The items of a data set, which are read once to know their labels and contents, then again whenever needed.

    Pillow images are read upright, as images in files are; the pixels of arrays and tensors are taken as they are.
    Names of the classes are those of its attribute ``classes``, as torchvision's data sets have it, or numbers.

    Args:
        items: (image, label) at each position, the same each time: random changes of images are the training's. The
            label is an int, or a vector of 0 and 1 for each class.
        name: of the argument, for messages.

    Raises:
        TypeError: an item, image or label of another kind.
        ValueError: no item, pixels of another shape, labels of other values, items that are not the same each time.
    """

    pixel_rule: PixelRule = "upright"

    def __init__(self, items: LabelledItems, name: str = "data") -> None:
        self._items, self._name = items, name
        if not len(items):
            raise ValueError(f"{name}: expected at least one image, got none")
        labels = []
        self._sums = np.empty(len(items), dtype=np.int64)
        for position in range(len(items)):
            image, label = self._item(position)
            labels.append(_label(label, f"{name}[{position}]"))
            self._sums[position] = _sum(image)
        if _sum(self._item(0)[0]) != self._sums[0]:
            raise ValueError(
                f"{name}: expected the same image each time that it is read, got another at 0: leave out random "
                "transforms; augment has those of training"
            )
        if len(kinds := {each.shape for each in labels}) > 1:
            raise ValueError(f"{name}: expected labels of one form, got the shapes {sorted(kinds)}")
        self.labels: NDArray[Any] = class_labels(np.stack(labels), len(items), name)
        self.classes: tuple[str, ...] = _classes(items, numbered_classes(self.labels))

    def __len__(self) -> int:
        return len(self._sums)

    def load(self, position: int) -> Image:
        """The RGB image at a position."""
        return self._item(position)[0]

    def id(self, position: int) -> str:
        """The position as a decimal number."""
        return str(position)

    def sums(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 (b,): CRC-32 of the RGB images at the positions, as they were read first."""
        return self._sums[positions]

    def _item(self, position: int) -> tuple[Image, Any]:
        """The RGB image and the label at a position."""
        item, where = self._items[position], f"{self._name}[{position}]"
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise TypeError(f"{where}: expected an image and a label, got {_kind(item)}")
        return _rgb(item[0], where), item[1]


def _rgb(image: Any, where: str) -> Image:
    pillow = require_extra("PIL.Image")
    if isinstance(image, pillow.Image):
        return read_opened(image, where)
    is_tensor = hasattr(image, "permute")
    pixels = np.asarray(image.permute(1, 2, 0).cpu() if is_tensor and image.ndim == 3 else image)
    if not (is_tensor or isinstance(image, np.ndarray)) or pixels.dtype != np.uint8:
        raise TypeError(f"{where}: expected {KINDS}, got {_kind(image)}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"{where}: expected {KINDS}, got shape {tuple(image.shape)}")
    found: Image = pillow.fromarray(np.ascontiguousarray(pixels))
    return found


def _label(label: Any, where: str) -> NDArray[Any]:
    """A label as an array of ints, () or (classes,)."""
    array = np.asarray(label)
    if array.ndim > 1 or array.dtype.kind not in ("biuf" if array.ndim else "iu"):
        raise TypeError(f"{where}: expected an int, or 0 and 1 for each class, as label, got {_kind(label)}")
    return array


def _classes(items: Any, numbers: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the classes that a data set gives, if it does for all, else numbers."""
    names = getattr(items, "classes", ())
    is_named = isinstance(names, list | tuple) and len(names) >= len(numbers) and all(type(n) is str for n in names)
    return tuple(names) if is_named and len(set(names)) == len(names) else numbers


def _kind(value: Any) -> str:
    return f"{type(value).__name__}{f' of {value.dtype}' if hasattr(value, 'dtype') else ''}"


def _sum(image: Image) -> int:
    return zlib.crc32(image.tobytes(), zlib.crc32(repr(image.size).encode()))
