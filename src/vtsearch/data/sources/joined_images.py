"""Several image sources as one, with the classes of all."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.decode import PixelRule
from vtsearch.data.sources.image_source import FileSource, PixelSource, SummedSource, load_reduced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.sources.image_source import ImageSource


class _Joined:
    """The images of several sources, one source after the other; classes are the same if their names are.

    Args:
        parts: name of a part -> its source; at least one.

    Raises:
        ValueError: parts of single and of several labels, or several labels for other classes.

    Attributes:
        positions: name of a part -> int64 (m,) positions of its images.
    """

    pixel_rule: PixelRule = "upright"

    def __init__(self, parts: Mapping[str, ImageSource]) -> None:
        self._names, self._parts = list(parts), list(parts.values())
        self._starts = list(accumulate(map(len, self._parts), initial=0))
        self.positions: dict[str, NDArray[np.int64]] = {
            name: np.arange(self._starts[number], self._starts[number + 1]) for number, name in enumerate(self._names)
        }
        self.classes, self.labels = _joined_labels(parts)

    def __len__(self) -> int:
        return self._starts[-1]

    def load(self, position: int) -> Image:
        """The RGB image at a position; errors as of its source."""
        return self.load_reduced(position, None)

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The RGB image at a position, of at least that shorter side; errors as of its source."""
        number, row = self._part(position)
        return load_reduced(self._parts[number], row, least_side)

    def id(self, position: int) -> str:
        """The name of the part and the id in it: ``queries/17``."""
        number, row = self._part(position)
        return f"{self._names[number]}/{self._parts[number].id(row)}"

    def _part(self, position: int) -> tuple[int, int]:
        number = bisect_right(self._starts, position) - 1
        return number, position - self._starts[number]


class JoinedImages(_Joined):
    """Sources of any kinds, joined."""

    def sums(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 (b,): CRC-32 of the images at the positions, of files that of their bytes."""
        return np.array([self._sum(position) for position in positions.tolist()], dtype=np.int64)

    def _sum(self, position: int) -> int:
        number, row = self._part(position)
        part = self._parts[number]
        if isinstance(part, FileSource):
            return zlib.crc32(part.path(row).read_bytes())
        if isinstance(part, SummedSource):
            return int(part.sums(np.array([row]))[0])
        return zlib.crc32(part.load(row).tobytes())


class JoinedPixels(_Joined):
    """Sources of equally sized images, joined; read in batches."""

    def pixels(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (b, 3, h, w) of the positions, in their order."""
        numbers = np.searchsorted(self._starts, positions, side="right") - 1
        found: NDArray[np.uint8] | None = None
        for number in np.unique(numbers).tolist():
            part = self._parts[number]
            assert isinstance(part, PixelSource)
            here = numbers == number
            pixels = part.pixels(positions[here] - self._starts[number])
            found = np.empty((len(positions), *pixels.shape[1:]), dtype=np.uint8) if found is None else found
            found[here] = pixels
        assert found is not None
        return found


def joined(parts: Mapping[str, ImageSource]) -> JoinedImages | JoinedPixels:
    """The sources as one, which is read in batches if each of them is, at one size.

    Raises:
        ValueError: parts of single and of several labels, or several labels for other classes.
    """
    first = np.zeros(1, dtype=np.int64)
    shapes = {part.pixels(first).shape if isinstance(part, PixelSource) else None for part in parts.values()}
    return JoinedImages(parts) if len(shapes) > 1 or None in shapes else JoinedPixels(parts)


def _joined_labels(parts: Mapping[str, ImageSource]) -> tuple[tuple[str, ...], NDArray[Any]]:
    """The classes of all parts, and the labels of all images in them."""
    forms = {name: part.labels.shape[1:] for name, part in parts.items()}
    if len(set(forms.values())) > 1:
        raise ValueError(f"{', '.join(parts)}: expected labels of one form, got the shapes {list(forms.values())}")
    classes = tuple(dict.fromkeys(name for part in parts.values() for name in part.classes))
    if any(forms.values()):
        if any(part.classes != classes for part in parts.values()):
            raise ValueError(f"{', '.join(parts)}: expected the same classes, got {len(classes)} different names")
        return classes, np.concatenate([part.labels for part in parts.values()])
    numbers = {name: number for number, name in enumerate(classes)}
    translated = [np.array([numbers[name] for name in part.classes])[part.labels] for part in parts.values()]
    return classes, np.concatenate(translated)
