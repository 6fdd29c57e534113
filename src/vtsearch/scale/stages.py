"""The two stages of an encoding on a Ray cluster, each in processes of its own: reading images, and running models.

A row of the data that goes from one to the other is a batch of images. Pixels travel as uint8; what is known of files
and faults as JSON.
"""

from __future__ import annotations

import json
import pickle
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vtsearch.data.loading.tolerant_dataset import TolerantBatch, TolerantDataset
from vtsearch.encoding.encoder import Encoder
from vtsearch.errors import VtsearchError, require_extra
from vtsearch.scale.apart import check_root, read_apart
from vtsearch.scale.model_transfer import model_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.encoding.precision import Precision
    from vtsearch.scale.apart import Task

    Rows = dict[str, NDArray[Any]]


MOST_ATTEMPTS = 2
"""To read a batch at once; after so many ends of processes its images are read one by one."""


class ImageReading:
    """Reads batches of images, by their numbers."""

    def __init__(self, task: Sequence[Any], attempts: Any) -> None:
        """``task``: a reference to a ``Task``; ``attempts``: an actor, ``Attempts``."""
        self._reference, self._attempts = task[0], attempts
        self._task: Task = require_extra("ray").get(task[0])
        self._items = TolerantDataset(self._task.source, self._task.positions, self._task.preprocessing)

    def __call__(self, numbers: Rows) -> Rows:
        """The columns of the batch whose number is ``numbers["item"][0]``.

        An error that is none of an image goes along as a column: of one that is raised, Ray keeps the text alone.
        """
        try:
            return columns_of(self._read(int(numbers["item"][0])), self._task.size)
        except (OSError, VtsearchError) as error:
            side = self._task.preprocessing.image_size
            nothing = torch.zeros(0, 3, side, side, dtype=torch.uint8)
            empty = TolerantBatch(nothing, torch.zeros(1, dtype=torch.int64), [], [], 0.0)
            return {**columns_of(empty, self._task.size), "error": np.array([pickle.dumps(error).hex()])}

    def _read(self, number: int) -> TolerantBatch:
        if require_extra("ray").get(self._attempts.begin.remote(number)) > MOST_ATTEMPTS:
            return read_apart(self._reference, number)
        batch = self._items.__getitems__(self._task.rows(number))
        if batch.faults:
            check_root(self._task.root)
        return batch


def columns_of(batch: TolerantBatch, size: int) -> Rows:
    """A batch that was read, as a row of the data between the stages; a short one is filled up to ``size``."""
    pixels = np.zeros((1, size, *batch.images.shape[1:]), dtype=np.uint8)
    pixels[0, : len(batch.images)] = batch.images.numpy()
    return {
        "start": batch.rows[:1].numpy(),
        "count": np.array([len(batch.rows)]),
        "pixels": pixels,
        "faults": np.array([json.dumps([list(fault) for fault in batch.faults])]),
        "facts": np.array([json.dumps(batch.facts)]),
        "decode": np.array([batch.seconds]),
        "error": np.array([""]),
    }


class ModelRun:
    """Turns batches of pixels into codes; a process holds one model."""

    def __init__(
        self, model: Sequence[Any], *, device: str | None, precision: Precision, batch_size: int, arithmetic: str
    ) -> None:
        """``model``: a reference to its files; the other arguments as of ``Encoder``.

        Raises:
            VtsearchError: this node computes in another arithmetic than the others.
        """
        hash_model = model_of(require_extra("ray").get(model[0]))
        self._encoder = Encoder(
            hash_model, device=device or own_device(), precision=precision, batch_size=batch_size, workers=0
        )
        if self._encoder.arithmetic != arithmetic:
            raise VtsearchError(
                f"precision: expected {arithmetic} on every node, got {self._encoder.arithmetic}; name one of them"
            )
        self._evaluating = ExitStack()  # as long as this process lives, rather than for each batch
        self._evaluating.enter_context(self._encoder.evaluating())
        self._ended: float | None = None

    def __call__(self, batch: Rows) -> Rows:
        """The same batch with codes in place of pixels."""
        began, count = time.perf_counter(), int(batch["count"][0])
        pixels = torch.tensor(batch["pixels"][0, :count])  # a copy: nobody may change what Ray shares
        codes = np.zeros((batch["pixels"].shape[1], -(-self._encoder.bits // 8)), dtype=np.uint8)
        codes[:count] = self._encoder.encode_pixels(pixels)
        ended, before = time.perf_counter(), self._ended
        self._ended = ended
        kept = {name: batch[name] for name in ("start", "count", "faults", "facts", "decode", "error")}
        waited = 0.0 if before is None else began - before
        return {**kept, "codes": codes[None], "model": np.array([ended - began]), "waiting": np.array([waited])}


def own_device() -> str:
    """The GPU that Ray has given to this process, or else the CPU."""
    return "cuda" if require_extra("ray").get_gpu_ids() else "cpu"
