"""The processes of ``torch.distributed``: arrays added up, values gathered, errors shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import distributed

from vtsearch.errors import first_line
from vtsearch.tensors.distributed import number_of_processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

GATHERED_BYTES = 64 * 2**20
"""Rows of all processes that are in memory at a time, about."""

Value = TypeVar("Value")
Scalar = TypeVar("Scalar", bound=np.generic)


class Processes:
    """Those of the process group, in the order of their ranks, or this one alone; all call each method together."""

    def __init__(self) -> None:
        self.number = number_of_processes()
        self.rank = distributed.get_rank() if self.number > 1 else 0

    def gather(self, value: Value) -> list[Value]:
        """A small value of each process, of any kind that can be pickled."""
        values: list[Any] = [value] * self.number
        if self.number > 1:
            distributed.all_gather_object(values, value)
        return values

    def in_all(self, work: Callable[[], Value]) -> Value:
        """The result of this process's work, if that of every process succeeds: none waits for one that failed.

        Raises:
            RuntimeError: the work of another process raised; names its rank and its error.
            Exception: what the work of this one raises.
        """
        try:
            result = work()
        except Exception as error:
            self.gather(f"{type(error).__name__}: {first_line(error)}")
            raise
        for rank, text in enumerate(self.gather("")):
            if text:
                raise RuntimeError(f"rank {rank}: {text}")
        return result

    def agree(self, **values: object) -> None:
        """Check that values are the same everywhere.

        Raises:
            ValueError: one that differs, in all processes; names it and the first rank that has another.
        """
        first, *others = self.gather(values)
        for rank, other in enumerate(others, start=1):
            for name, value in first.items():
                if other[name] != value:
                    raise ValueError(f"{name}: expected the same on every rank, got another on rank {rank} than on 0")

    def added(self, array: NDArray[Scalar]) -> tuple[NDArray[Scalar], NDArray[Scalar]]:
        """Arrays of one shape (rows, ...), added in the order of the ranks: those of all, and of the ranks before."""
        if self.number == 1:
            return array, np.zeros_like(array)
        total, before = np.empty_like(array), np.zeros_like(array)
        row_bytes = array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
        step = max(GATHERED_BYTES // max(self.number * row_bytes, 1), 1)
        for start in range(0, len(array), step):
            rows = slice(start, start + step)
            parts = self._all_of(array[rows])
            total[rows] = sum(parts[1:], start=parts[0])
            before[rows] = sum(parts[: self.rank], start=before[rows])
        return total, before

    def _all_of(self, array: NDArray[Scalar]) -> list[NDArray[Scalar]]:
        part = torch.from_numpy(np.ascontiguousarray(array)).to(_device())
        parts = [torch.empty_like(part) for _ in range(self.number)]
        distributed.all_gather(parts, part)
        return [each.cpu().numpy() for each in parts]


def _device() -> torch.device:
    """Where the process group takes tensors: NCCL on the device of this process alone."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
