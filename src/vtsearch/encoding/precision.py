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
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return "bf16" if abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("bf16") else "fp32"
    return "fp32"


def autocast(device: torch.device, arithmetic: Arithmetic) -> AbstractContextManager[object]:
    """A context in which matrix products use that arithmetic; weights stay float32."""
    return torch.autocast(device.type, dtype=DTYPES.get(arithmetic, torch.bfloat16), enabled=arithmetic in DTYPES)
