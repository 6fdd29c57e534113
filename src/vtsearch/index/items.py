"""Validation of codes, ids and metadata of an index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def checked_bits(bits: int) -> int:
    """At least 1."""
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer):
        raise TypeError(f"bits: expected an int, got {type(bits).__name__}")
    if bits < 1:
        raise ValueError(f"bits: expected at least 1, got {bits}")
    return int(bits)


def checked_codes(codes: object, bits: int) -> NDArray[np.uint8]:
    """uint8 (n, ceil(bits / 8)), padding bits 0."""
    width = -(-bits // 8)
    if not isinstance(codes, np.ndarray) or codes.dtype != np.uint8:
        raise TypeError(f"codes: expected a uint8 array (vtsearch.pack makes one), got {_kind(codes)}")
    if codes.ndim != 2 or codes.shape[1] != width:
        raise ValueError(f"codes: expected (n, {width}) for {bits} bits, got {codes.shape}")
    padding = 8 * width - bits
    if padding and len(codes) and np.any(codes[:, -1] & ((1 << padding) - 1)):
        raise ValueError(f"codes: expected {padding} padding bits of 0 after {bits} bits, got 1s among them")
    return codes


def checked_ids(ids: Sequence[str] | None, first: int, count: int) -> list[str]:
    """``count`` different strings; by default the positions."""
    if ids is None:
        return [str(position) for position in range(first, first + count)]
    if isinstance(ids, str) or len(ids) != count:
        raise ValueError(f"ids: expected {count} strings, one per code, got {len(ids)}")
    seen: set[str] = set()
    for name in ids:
        if not isinstance(name, str):
            raise TypeError(f"ids: expected strings, got {type(name).__name__}")
        if name in seen:
            raise ValueError(f"ids: expected different ids, got {name!r} twice")
        seen.add(name)
    return [str(name) for name in ids]


def checked_metadata(metadata: Sequence[Mapping[str, object]] | None, count: int) -> list[str | None]:
    """One JSON text per item; None where there is nothing to keep."""
    if metadata is None:
        return [None] * count
    if len(metadata) != count:
        raise ValueError(f"metadata: expected {count} mappings, one per code, got {len(metadata)}")
    try:
        return [json.dumps(dict(row)) if row else None for row in metadata]
    except TypeError as error:
        raise TypeError(f"metadata: expected what JSON can keep, got {error}") from error


def _kind(value: object) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__
