"""The rank and the device of this process, and how it works with the others."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    DistributedType,
    FullyShardedDataParallelPlugin,
    parse_flag_from_env,
)
from torch import distributed

from vtsearch.encoding.precision import resolve_precision
from vtsearch.tensors.devices import usable_device
from vtsearch.tensors.distributed import number_of_processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtsearch.encoding.precision import Precision


def this_process(timeout_minutes: float | None = None) -> PartialState:
    """Rank, number of processes and device; alone unless started by `torchrun` or `accelerate launch`.

    Args:
        timeout_minutes: longest time that the processes wait for each other; decided by the first call of a process.

    Raises:
        ValueError: ACCELERATE_TORCH_DEVICE names a device that this machine does not have.
    """
    usable_device(os.environ.get("ACCELERATE_TORCH_DEVICE") or None, name="ACCELERATE_TORCH_DEVICE")
    limits = {} if timeout_minutes is None else {"timeout": timedelta(minutes=timeout_minutes)}
    return PartialState(cpu=_on_cpu(), **limits)


def accelerator_for(precision: Precision) -> Accelerator:
    """The accelerator of one run, in the resolved precision; with ACCELERATE_USE_FSDP it shards the parameters.

    Raises:
        ValueError: FSDP_VERSION is not 2; a precision that the device does not have.
    """
    arithmetic = resolve_precision(precision, this_process().device)
    # accelerate refuses a second precision in one process
    AcceleratorState._reset_state()  # noqa: SLF001 (no public way exists)
    # frameworks synchronize their own buffers; broadcasting a whole bank at each step would be slow
    alike = DistributedDataParallelKwargs(broadcast_buffers=False)
    plugin = _sharding_plugin()
    accelerator = Accelerator(
        cpu=_on_cpu(),
        mixed_precision="no" if arithmetic == "fp32" else arithmetic,  # fp16 with scaled gradients
        kwargs_handlers=[alike],
        fsdp_plugin=plugin,
    )
    if plugin is not None:
        _shard_with(plugin)
    return accelerator


@contextmanager
def matrix_products(*, tf32: bool) -> Iterator[None]:
    """Compute products of float32 matrices on a GPU in TF32, with 10 bits of the mantissa; False leaves them alone."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def leave_processes() -> None:
    """Close the connections to the other processes; the last call of a process that has finished its run."""
    if number_of_processes() > 1:
        distributed.destroy_process_group()


def _sharding_plugin() -> FullyShardedDataParallelPlugin | None:
    """What the environment of `accelerate launch --use_fsdp` asks for, or None.

    Raises:
        ValueError: version 1.
    """
    if number_of_processes() == 1 or not parse_flag_from_env("ACCELERATE_USE_FSDP"):
        return None
    if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
        raise ValueError(f"FSDP_VERSION: expected 2 (accelerate launch --use_fsdp --fsdp_version 2), got {version}")
    from torch.distributed.fsdp import MixedPrecisionPolicy  # noqa: PLC0415 (not in every build of torch)

    # parameters and gradients travel in float32; the arithmetic is that of autocast, as without sharding
    return FullyShardedDataParallelPlugin(mixed_precision_policy=MixedPrecisionPolicy())


def _shard_with(plugin: FullyShardedDataParallelPlugin) -> None:
    """Choose FSDP where accelerate does not: on CPUs, and in the second run of a process."""
    for state in (PartialState, AcceleratorState):
        state._shared_state["distributed_type"] = DistributedType.FSDP  # noqa: SLF001 (no public way exists)
    AcceleratorState._shared_state["fsdp_plugin"] = plugin  # noqa: SLF001


def _on_cpu() -> bool:
    # without this, accelerate does not connect processes that have no GPU
    return not torch.accelerator.is_available() or bool(parse_flag_from_env("ACCELERATE_USE_CPU"))
