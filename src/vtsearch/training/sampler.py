"""Batches of an epoch as a function of (seed, epoch) alone, so that a run resumes within an epoch."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from torch.utils.data import Sampler

from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

Batch = TypeVar("Batch")

# Purposes of derived seeds.
MODEL_SEED, HOLD_OUT_SEED, ORDER_SEED, STEP_SEED, COIN_SEED = range(5)


def derived_seed(*entropy: int) -> int:
    """A 32-bit seed hashed from integers."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


class EpochSampler(Sampler[list[int]]):
    """Batches of rows from `first` to the end of `epoch`; set both fields before each pass.

    All processes draw the same order. A step takes the next `batch_size` x `processes` rows of it, and each process
    every `processes`-th of these. Rows that do not divide evenly among the processes are left out. Each row occurs once
    in an epoch, or, with `classes`, each class equally often: a row that comes again has its number plus the size of
    the training set, times the repeat, for augmentation of its own.

    Args:
        rows: size of the training set.
        batch_size: rows per batch and process.
        seed: of the order.
        process: rank of this process.
        processes: number of processes.
        visited: epoch -> the rows it visits; None means all.
        classes: rows of each class, from which epochs are drawn; None takes each row once.
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
        classes: Sequence[NDArray[np.int64]] | None = None,
    ) -> None:
        self.rows = rows
        self.classes = classes
        self.visited = visited
        self.seed = seed
        self.process = process
        self.processes = processes
        self.begun_by = processes
        """Number of processes that the run was started with."""
        self.step_rows = batch_size * processes
        """Rows of all processes in a step."""
        self.epoch = 0
        self.first = 0

    def take_over(self, begun_by: int, epochs: int) -> None:
        """Continue a run that was started with another number of processes: its steps keep their rows.

        Args:
            begun_by: number of processes with `batch_size` rows each.
            epochs: of the run.

        Raises:
            VtsearchError: the rows of a step cannot be divided evenly; names both numbers and those that can do it.
        """
        if begun_by == self.processes:
            return
        rows = self.step_rows // self.processes * begun_by
        last = {self.size(epoch) // begun_by * begun_by % rows or rows for epoch in range(epochs)}
        possible = [count for count in range(1, rows + 1) if rows % count == 0 and count <= min(last)]
        if self.processes not in possible:
            raise VtsearchError(
                f"processes: the run was started with {begun_by}, which take {rows} images a step and at least "
                f"{min(last)} in the last of an epoch; expected {', '.join(map(str, possible))}, got {self.processes}"
            )
        self.begun_by, self.step_rows = begun_by, rows

    def __len__(self) -> int:
        """Number of batches in the epoch."""
        return self.batches_of(self.size(self.epoch))

    def size(self, epoch: int) -> int:
        """Number of rows in an epoch."""
        visited = self.visited(epoch)
        return self.rows if visited is None else len(visited)

    def batches_of(self, size: int) -> int:
        """Number of batches for `size` rows."""
        return math.ceil(size // self.begun_by * self.begun_by / self.step_rows)

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order(np.random.Generator(np.random.PCG64((self.seed, ORDER_SEED, self.epoch))))
        used = order[: len(order) // self.begun_by * self.begun_by]
        for start in range(self.first * self.step_rows, len(used), self.step_rows):
            batch = used[start : start + self.step_rows]
            yield batch[: len(batch) // self.processes * self.processes][self.process :: self.processes].tolist()

    def _order(self, random: np.random.Generator) -> NDArray[np.int64]:
        """The rows of all processes in an epoch."""
        if self.classes is not None:
            order = balanced_order(self.classes, self.rows, random)
            return order + self.rows * occurrences(order)
        visited = self.visited(self.epoch)
        return random.permutation(self.rows if visited is None else visited.numpy())


def windows(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Consecutive batches, `size` at a time; the last may be fewer."""
    iterator = iter(batches)
    while window := list(islice(iterator, size)):
        yield window


def balanced_order(classes: Sequence[NDArray[np.int64]], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows of an epoch in which all classes are drawn equally often, and evenly from its beginning to its end.

    A class goes through its rows in one random order, again and again: a row comes again only after all others.

    Args:
        classes: rows of each class, at least one; a row may have several classes.
        size: number of rows to draw; what does not divide evenly goes to random classes.
        random: the generator.
    """
    extra = random.permutation(len(classes)) < size % len(classes)
    rows, times = [], []
    for members, more in zip(classes, extra, strict=True):
        turns = np.arange(size // len(classes) + more)
        rows.append(random.permutation(members)[turns % len(members)])
        times.append((turns + random.random(len(turns))) / max(len(turns), 1))
    return np.concatenate(rows)[np.argsort(np.concatenate(times), kind="stable")]


def occurrences(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each element has occurred before."""
    order = np.argsort(rows, kind="stable")
    ranks = np.empty_like(rows)
    ranks[order] = np.arange(len(rows)) - np.searchsorted(rows[order], rows[order])
    return ranks


def rows_of_classes(labels: Tensor) -> list[NDArray[np.int64]]:
    """Rows of each class that has any.

    Args:
        labels: int64 (n,), or 0/1 (n, classes).
    """
    values = labels.numpy()
    columns = [values == each for each in np.unique(values)] if values.ndim == 1 else list(values.T)
    return [np.flatnonzero(column) for column in columns if column.any()]
