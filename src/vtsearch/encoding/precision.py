"""The arithmetic of a forward pass: bfloat16, float32, or on a GPU float16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Precision = Literal["auto", "bf16", "fp16", "fp32"]
Arithmetic = Literal["bf16", "fp16", "fp32"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Arithmetic of fewer than 32 bits -> its type."""


def resolve_precision(precision: Precision, device: torch.device) -> Arithmetic:
    """Replace `auto` by bf16 on devices with bfloat16 instructions, where it is faster, else by fp32.

    Raises:
        ValueError: an unknown precision, or fp16 on another device than a GPU of CUDA.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision: expected one of {', '.join(get_args(Precision))}, got {precision!r}")
    if precision == "fp16" and device.type != "cuda":
        raise ValueError(f"precision: expected auto, bf16 or fp32 on a {device.type} device, got 'fp16'")
    if precision != "auto":
        return precision
    return "bf16" if has_bf16(device) else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Whether a device has bfloat16 instructions; without them it computes the same in several times the time."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    abilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast(device: torch.device, arithmetic: Arithmetic) -> AbstractContextManager[object]:
    """A context in which matrix products use that arithmetic; weights stay float32."""
    return torch.autocast(device.type, dtype=DTYPES.get(arithmetic, torch.bfloat16), enabled=arithmetic in DTYPES)
