"""Arguments of the commands that also run on a cluster."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtsearch.cli.parser import CommandParser

AUTO = "auto"  # as scale.connection, which help does not import


@dataclass(frozen=True)
class Worker:
    """One of several processes that share a job and know nothing of each other but their number."""

    number: int
    """From 0."""
    count: int

    @property
    def pair(self) -> tuple[int, int]:
        """I and N."""
        return self.number, self.count

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def add_ray_argument(command: CommandParser, what: str) -> None:
    """``--ray [ADDRESS]``: None without it; ``what`` is said to happen on the cluster."""
    command.add_argument(
        "--ray",
        nargs="?",
        const=AUTO,
        metavar="ADDRESS",
        help=f"{what} on a Ray cluster: HOST:PORT of its head node; without an address the cluster that RAY_ADDRESS "
        "names or that this machine belongs to, or else one on this machine alone",
    )


def add_worker_argument(command: CommandParser, what: str) -> None:
    """``--worker I/N``: None without it; ``what`` is said to be this worker's share."""
    command.add_argument(
        "--worker",
        metavar="I/N",
        help=f"{what}: worker I of N, from 0, such as $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT",
    )


def worker_of(text: str | None) -> Worker | None:
    """The worker that ``--worker`` names; without it, one that ``torchrun`` started; else None.

    Raises:
        ValueError: not I/N with 0 <= I < N.
    """
    if text is None:
        return _of_torchrun()
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if found is None or not int(found[1]) < int(found[2]):
        raise ValueError(f"worker: expected I/N with I from 0 to N - 1, such as 0/4, got {text!r}")
    return Worker(int(found[1]), int(found[2]))


def own_device() -> str | None:
    """The GPU of a process that torchrun or srun has started among others on its machine; None elsewhere."""
    text = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or ""
    if not text.isdecimal():
        return None
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{int(text) % count}" if count > 1 else None


def _of_torchrun() -> Worker | None:
    rank, size = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if "TORCHELASTIC_RUN_ID" not in os.environ or not (rank.isdecimal() and size.isdecimal()) or int(size) < 2:
        return None
    return Worker(int(rank), int(size))
