"""Which arithmetic a forward pass uses on which device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from vtsearch.training.config import Precision


def resolve_precision(precision: Precision, device: torch.device) -> Literal["bf16", "fp32"]:
    """What `auto` means on a device: bf16 where it has instructions for it, which is where it is faster."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return "bf16" if abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("bf16") else "fp32"
    return "fp32"


def autocast(device: torch.device, arithmetic: Literal["bf16", "fp32"]) -> AbstractContextManager[object]:
    """The block in which matrix products run in that arithmetic; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=arithmetic == "bf16")
