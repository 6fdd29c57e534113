"""Which images make up which batch: a function of (seed, epoch) alone, so that a run continues in mid-epoch."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from vtsearch.data.torch_dataset import ImageBatch, ImageDataset, whole_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor

# Words that keep the seeds of different purposes apart.
MODEL_SEED, HOLD_OUT_SEED, ORDER_SEED, STEP_SEED, COIN_SEED = range(5)


def derived_seed(*entropy: int) -> int:
    """A seed of 32 bits from a few whole numbers, unrelated for neighbouring ones."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


class EpochBatches(Sampler[list[int]]):
    """Batches of rows from `first` to the end of `epoch`; set both fields before each pass.

    The order is drawn for all processes together and each takes every `processes`-th row of it, so that no image is
    seen twice in an epoch; the few rows that would give some processes more than others are left out.

    Args:
        rows: of the training set.
        batch_size: rows of a batch, of one process.
        seed: of the orders.
        process: this one's number.
        processes: all of them.
        visited: the rows that an epoch visits; None from it means all.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        *,
        seed: int,
        process: int = 0,
        processes: int = 1,
        visited: Callable[[int], Tensor | None] = lambda _: None,
    ) -> None:
        self.rows = rows
        self.visited = visited
        self.batch_size = batch_size
        self.seed = seed
        self.process = process
        self.processes = processes
        self.epoch = 0
        self.first = 0

    def __len__(self) -> int:
        """Batches of the whole epoch."""
        return self.batches_of(self.size(self.epoch))

    def size(self, epoch: int) -> int:
        """Rows that an epoch visits."""
        visited = self.visited(epoch)
        return self.rows if visited is None else len(visited)

    def batches_of(self, size: int) -> int:
        """Batches that an epoch of so many rows makes."""
        return math.ceil(size // self.processes / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        visited = self.visited(self.epoch)
        rows = self.rows if visited is None else visited.numpy()
        order = np.random.Generator(np.random.PCG64((self.seed, ORDER_SEED, self.epoch))).permutation(rows)
        mine = order[: len(order) // self.processes * self.processes][self.process :: self.processes].tolist()
        for start in range(self.first * self.batch_size, len(mine), self.batch_size):
            yield mine[start : start + self.batch_size]


def batch_loader(
    items: ImageDataset, batches: Iterable[list[int]], *, device: torch.device, workers: int | None
) -> DataLoader[ImageBatch]:
    """A loader over batches of rows; it draws nothing from the global generator, which belongs to the dropout.

    Images that are held need no other process to load them.
    """
    count = 0 if items.is_held else worker_count(device, workers)
    loader: DataLoader[ImageBatch] = DataLoader(
        items,
        batch_sampler=batches,
        collate_fn=whole_batch,
        num_workers=count,
        pin_memory=device.type == "cuda" and not items.is_held,
        persistent_workers=count > 0,
        generator=torch.Generator(),
    )
    return loader


def worker_count(device: torch.device, workers: int | None) -> int:
    """Loading processes: as asked, else none beside a CPU that trains itself, and up to eight to feed a GPU."""
    if workers is not None:
        return workers
    return 0 if device.type == "cpu" else min(8, len(os.sched_getaffinity(0)))
