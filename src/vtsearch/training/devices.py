"""The rank and the device of this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env

from vtsearch.encoding.precision import resolve_precision
from vtsearch.tensors.devices import usable_device

if TYPE_CHECKING:
    from vtsearch.encoding.precision import Precision


def this_process() -> PartialState:
    """Rank, number of processes and device; alone unless started by `torchrun` or `accelerate launch`.

    Raises:
        ValueError: ACCELERATE_TORCH_DEVICE names a device that this machine does not have.
    """
    usable_device(os.environ.get("ACCELERATE_TORCH_DEVICE") or None, name="ACCELERATE_TORCH_DEVICE")
    return PartialState(cpu=_on_cpu())


def accelerator_for(precision: Precision) -> Accelerator:
    """The accelerator of one run, in the resolved precision."""
    arithmetic = resolve_precision(precision, this_process().device)
    # accelerate refuses a second precision in one process
    AcceleratorState._reset_state()  # noqa: SLF001 (no public way exists)
    # frameworks synchronize their own buffers; broadcasting a whole bank at each step would be slow
    alike = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(cpu=_on_cpu(), mixed_precision="bf16" if arithmetic == "bf16" else "no", kwargs_handlers=[alike])


def _on_cpu() -> bool:
    # without this, accelerate does not connect processes that have no GPU
    return not torch.accelerator.is_available() or bool(parse_flag_from_env("ACCELERATE_USE_CPU"))
