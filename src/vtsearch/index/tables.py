"""Tables of the codes of a segment in a file: built once, mapped, searched in place of a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from vtsearch import _native
from vtsearch._tables import build_tables, key_bits_of
from vtsearch.index.arrays import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from vtsearch.index.arrays import ArrayFile

LEAST_BYTES = 2**22
"""Of the codes of a segment with tables: a scan of fewer is over before tables are of use."""

LEAST_WIDTH = 3
"""Bytes of a code with tables: shorter ones take up no whole words, and have few distances."""

_WORD = 4


def pays(rows: int, width: int) -> bool:
    """Whether tables are of use for so many codes of so many bytes."""
    return rows * width >= LEAST_BYTES and width >= LEAST_WIDTH


def table_layouts(rows: int, width: int, bits: int, count: int) -> list[Layout]:
    """Layouts of the arrays of a file of tables, three for each of them.

    Raises:
        ValueError: more tables than bits.
    """
    begins, padded = _native.table_shapes(width, bits, count, key_bits_of(rows))
    each = [Layout("<u4", (rows,)), Layout("<u4", (rows, padded // _WORD))]
    return [layout for length in begins for layout in (Layout("<u4", (length,)), *each)]


def table_arrays(codes: NDArray[np.uint8], bits: int, count: int) -> Iterator[NDArray[np.uint32]]:
    """The arrays of a file of tables, one table after the other in memory: where its buckets begin, items, codes."""
    for number in range(count):
        ((begins, items, copies),) = build_tables([codes], bits, count, number, number + 1, copies=True, threads=1)
        assert copies is not None
        yield from (begins, items, copies.view(np.uint32))


def opened_arrays(file: ArrayFile) -> list[_native.Table]:
    """The tables in a file, of which nothing is read."""
    arrays = cast("list[NDArray[np.uint32]]", list(map(np.asarray, file.arrays)))
    codes = (each.view(np.uint8) for each in arrays[2::3])
    return list(zip(arrays[::3], arrays[1::3], codes, strict=True))
