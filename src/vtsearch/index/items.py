"""Validation of ids and metadata of an index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
