"""Data loaders over batches of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch.utils.data import DataLoader

from vtsearch._validate import available_cpus
from vtsearch.data.loading.torch_dataset import whole_batch
from vtsearch.tensors.distributed import processes_on_node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.utils.data import Dataset

Batch = TypeVar("Batch")


def build_loader(
    items: Dataset[Batch], batches: Iterable[list[int]], *, device: torch.device, workers: int | None
) -> DataLoader[Batch]:
    """A loader over batches of rows; it does not use the global generator, which is reserved for dropout.

    Cached images (``items.is_held``) need no loading processes.
    """
    is_held = getattr(items, "is_held", False)
    count = 0 if is_held else worker_count(device, workers)
    loader: DataLoader[Batch] = DataLoader(
        items,
        batch_sampler=batches,
        collate_fn=whole_batch,
        num_workers=count,
        pin_memory=device.type == "cuda" and not is_held,
        persistent_workers=count > 0,
        generator=torch.Generator(),
    )
    return loader


def worker_count(device: torch.device, workers: int | None) -> int:
    """Number of loading processes: ``workers``, or by default 0 on CPU and this process's share of the CPUs on GPU."""
    if workers is not None:
        return workers
    return 0 if device.type == "cpu" else cpu_share()


def cpu_share() -> int:
    """CPUs for decoding images, at most 8, of a process that shares a machine with others of a launch."""
    return max(1, min(8, available_cpus() // processes_on_node()))
