"""Which of the processes of a launch this is, and with which device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env

from vtsearch.encoding.precision import resolve_precision

if TYPE_CHECKING:
    from vtsearch.encoding.precision import Precision


def this_process() -> PartialState:
    """Rank, number of processes and device; alone unless started by `torchrun` or `accelerate launch`."""
    return PartialState(cpu=_on_cpu())


def accelerator_for(precision: Precision) -> Accelerator:
    """Accelerate's engine for one run, in the arithmetic that `precision` means on this device."""
    arithmetic = resolve_precision(precision, this_process().device)
    # accelerate keeps the precision of a process's first run for all later ones, and refuses another
    AcceleratorState._reset_state()  # noqa: SLF001 (it offers no public way)
    # frameworks keep their buffers alike themselves: sending a whole bank to the others at each step would be slow
    alike = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(cpu=_on_cpu(), mixed_precision="bf16" if arithmetic == "bf16" else "no", kwargs_handlers=[alike])


def _on_cpu() -> bool:
    # accelerate takes several processes without a GPU for strangers to each other unless it is told
    return not torch.accelerator.is_available() or bool(parse_flag_from_env("ACCELERATE_USE_CPU"))
