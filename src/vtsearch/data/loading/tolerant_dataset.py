"""Batches of images in which those that cannot be read are reported instead of raised."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.utils.data import Dataset

from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.data.sources.file_facts import file_facts
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data.sources.file_facts import FileFacts
    from vtsearch.data.sources.image_source import ImageItems
    from vtsearch.tensors.preprocessing import Preprocessing

    Read = tuple[Tensor, list["Fault"], list[FileFacts | None]]

ENVIRONMENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN})
"""Errors of the system, which every other image would meet too: they are raised."""


class Fault(NamedTuple):
    """An image that cannot be read."""

    row: int
    reason: str


class TolerantBatch(NamedTuple):
    """A batch of images; those with a fault are black."""

    images: Tensor
    """uint8 (b, 3, image_size, image_size), not normalized: a quarter of the bytes to move."""
    rows: Tensor
    """int64 (b,)"""
    faults: list[Fault]
    facts: list[FileFacts | None]
    """Of the files of the b images, before they were read; None where an image has no file of its own."""
    seconds: float
    """That reading them took."""


class TolerantDataset(Dataset[TolerantBatch]):
    """Some positions of an image source, as ``ImageDataset`` prepares them for evaluation.

    Args:
        source: the images.
        positions: int64 (n,) in the source.
        preprocessing: of the model.

    Raises:
        ValueError: a position outside the source, or a class number without a name.
    """

    def __init__(self, source: ImageItems, positions: NDArray[np.int64], preprocessing: Preprocessing) -> None:
        self._items = ImageDataset(source, positions, preprocessing)
        self._size = preprocessing.image_size

    def __len__(self) -> int:
        return len(self._items)

    def __getitems__(self, rows: Sequence[int]) -> TolerantBatch:
        """The batch of the given rows, in their order.

        Raises:
            OSError: an error of the system rather than of an image.
            VtsearchError: the same, met while an image was decoded.
        """
        began, index = time.perf_counter(), torch.as_tensor(rows, dtype=torch.int64)
        images, faults, facts = self._decoded(index) or self._one_by_one(rows)
        return TolerantBatch(images, index, faults, facts, time.perf_counter() - began)

    def _decoded(self, rows: Tensor) -> Read | None:
        """The images of a source that keeps them in memory; None if one of them cannot be read."""
        if not self._items.is_decoded:
            return None
        try:
            return self._items.pixels(rows), [], [None] * len(rows)
        except (VtsearchError, OSError):
            return None

    def _one_by_one(self, rows: Sequence[int]) -> Read:
        images: list[Tensor] = []
        faults: list[Fault] = []
        facts: list[FileFacts | None] = []
        for row in rows:
            facts.append(file_facts(self._items.source, int(self._items.positions[row])))
            images.append(self._read(row, faults))
        return torch.cat(images), faults, facts

    def _read(self, row: int, faults: list[Fault]) -> Tensor:
        """The image (1, 3, image_size, image_size) of a row; a black one, and a fault, if it cannot be read."""
        try:
            self._check_name(row)
            return self._items.pixels(torch.tensor([row]))
        except (VtsearchError, OSError) as error:
            if _errno(error) in ENVIRONMENT:
                raise
            faults.append(Fault(row, _reason(error)))
            return torch.zeros(1, 3, self._size, self._size, dtype=torch.uint8)

    def _check_name(self, row: int) -> None:
        name = self._items.source.id(int(self._items.positions[row]))
        if utf8_text(name) != name:
            raise VtsearchError("expected a file name in UTF-8, got other bytes; rename the file")


def utf8_text(name: str) -> str:
    """A name, with the bytes that are not UTF-8 as hexadecimal escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _reason(error: BaseException) -> str:
    """The message of an error on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(utf8_text(str(error)).split()) or type(error).__name__


def _errno(error: BaseException) -> int | None:
    """The number of a system error, or of the one that caused this error."""
    cause = error if isinstance(error, OSError) else error.__cause__
    return cause.errno if isinstance(cause, OSError) else None
