"""Batches of an epoch as a function of (seed, epoch) alone, so that a run resumes within an epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

# Purposes of derived seeds.
MODEL_SEED, HOLD_OUT_SEED, ORDER_SEED, STEP_SEED, COIN_SEED = range(5)


def derived_seed(*entropy: int) -> int:
    """A 32-bit seed hashed from integers."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


class EpochSampler(Sampler[list[int]]):
    """Batches of rows from `first` to the end of `epoch`; set both fields before each pass.

    All processes draw the same order, and each takes every `processes`-th row of it, so no image occurs twice in an
    epoch. Rows that do not divide evenly among the processes are left out.

    Args:
        rows: size of the training set.
        batch_size: rows per batch and process.
        seed: of the order.
        process: rank of this process.
        processes: number of processes.
        visited: epoch -> the rows it visits; None means all.
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
        """Number of batches in the epoch."""
        return self.batches_of(self.size(self.epoch))

    def size(self, epoch: int) -> int:
        """Number of rows in an epoch."""
        visited = self.visited(epoch)
        return self.rows if visited is None else len(visited)

    def batches_of(self, size: int) -> int:
        """Number of batches for `size` rows."""
        return math.ceil(size // self.processes / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        visited = self.visited(self.epoch)
        rows = self.rows if visited is None else visited.numpy()
        order = np.random.Generator(np.random.PCG64((self.seed, ORDER_SEED, self.epoch))).permutation(rows)
        mine = order[: len(order) // self.processes * self.processes][self.process :: self.processes].tolist()
        for start in range(self.first * self.batch_size, len(mine), self.batch_size):
            yield mine[start : start + self.batch_size]
