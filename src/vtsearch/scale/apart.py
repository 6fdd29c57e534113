"""Images read one by one, each in a process of its own: what is left of a batch whose processes were ended."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from vtsearch.data.loading.tolerant_dataset import Fault, TolerantBatch, TolerantDataset
from vtsearch.errors import require_extra

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.data.sources.image_source import ImageItems
    from vtsearch.tensors.preprocessing import Preprocessing

RETRIES = 1
"""Of an image: another one may have been to blame for an end for want of memory."""

AT_A_TIME = 4
"""Images, so that few compete for memory."""

ENDED = "the process that read it was ended each time, by a crash or for want of memory"
"""The reason of an image at which its process ends."""


class Task(NamedTuple):
    """What all processes that read images have."""

    source: ImageItems
    positions: NDArray[np.int64]
    preprocessing: Preprocessing
    size: int
    """Images of a batch."""
    root: Path | None
    """Folder of all images, which every node sees."""

    def rows(self, number: int) -> range:
        """The rows of a batch."""
        return range(number * self.size, min((number + 1) * self.size, len(self.positions)))


class Attempts:
    """Counts how often each batch was begun: Ray begins one again, without end, whose process was ended."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """How often a batch has been begun, this time included."""
        self._begun[number] += 1
        return self._begun[number]


def check_root(root: Path | None) -> None:
    """Tell a node without the images from images that cannot be read: all of them would be skipped.

    Raises:
        FileNotFoundError: this node does not see the folder, or it is empty, as a mount point is.
    """
    if root is not None and not (os.path.isdir(root) and next(os.scandir(root), None)):  # noqa: PTH112
        node = require_extra("ray").util.get_node_ip_address()
        raise FileNotFoundError(2, f"not seen on node {node}; all nodes need the folder of the images", str(root))


def read_apart(task: Any, number: int) -> TolerantBatch:
    """A batch as it is read at once; images at which their process ends are faults.

    Args:
        task: a reference to a ``Task``.
        number: of the batch.

    Raises:
        OSError: an error of the system rather than of an image; a node that does not see the images.
    """
    ray = require_extra("ray")
    whole: Task = ray.get(task)
    read = ray.remote(num_cpus=0, max_retries=RETRIES)(_read)
    found: list[TolerantBatch | None] = []
    rows = whole.rows(number)
    for first in range(0, len(rows), AT_A_TIME):
        waiting = [read.remote(task, row) for row in rows[first : first + AT_A_TIME]]
        found += [_answer(ray, each) for each in waiting]
    return _joined(rows, found, whole.preprocessing.image_size)


def _read(task: Task, row: int) -> TolerantBatch:
    """One image as a batch."""
    batch = TolerantDataset(task.source, task.positions[row : row + 1], task.preprocessing).__getitems__([0])
    if batch.faults:
        check_root(task.root)
    return batch


def _answer(ray: Any, waiting: Any) -> TolerantBatch | None:
    try:
        batch: TolerantBatch = ray.get(waiting)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        return None
    return batch


def _joined(rows: range, found: Sequence[TolerantBatch | None], side: int) -> TolerantBatch:
    """Images as one batch."""
    black = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    reasons = [ENDED if each is None else each.faults[0].reason if each.faults else None for each in found]
    return TolerantBatch(
        torch.cat([black if each is None else each.images for each in found]),
        torch.arange(rows.start, rows.stop),
        [Fault(row, reason) for row, reason in zip(rows, reasons, strict=True) if reason is not None],
        [None if each is None else each.facts[0] for each in found],
        sum(each.seconds for each in found if each is not None),
    )
