"""The arithmetic of a forward pass: bfloat16 or float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Precision = Literal["auto", "bf16", "fp32"]
Arithmetic = Literal["bf16", "fp32"]


def resolve_precision(precision: Precision, device: torch.device) -> Arithmetic:
    """Replace `auto` by bf16 on devices with bfloat16 instructions, where it is faster, else by fp32.

    Raises:
        ValueError: an unknown precision.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision: expected one of {', '.join(get_args(Precision))}, got {precision!r}")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return "bf16" if abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("bf16") else "fp32"
    return "fp32"


def autocast(device: torch.device, arithmetic: Arithmetic) -> AbstractContextManager[object]:
    """A context in which matrix products use that arithmetic; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=arithmetic == "bf16")
