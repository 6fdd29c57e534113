"""Codes: features to packed bits and back."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtsearch import _native, _validate

BitOrder = Literal["big", "little"]
_BIT_ORDERS = ("big", "little")
_PACKED_DTYPES = (np.float32, np.float64, np.float16, np.bool_, np.uint8, np.int8)


def pack(values: ArrayLike, *, bitorder: BitOrder = "big") -> NDArray[np.uint8]:
    """Codes of features or bits: bit i of a code is ``values[:, i] > 0``.

    Args:
        values: (n, bits) float features, of which 0 and below give bit 0; or bool; or integers 0 and 1.
        bitorder: "big" puts bit 0 into the highest bit of the first byte, as ``numpy.packbits`` does, and is what
            everything here expects; "little" into the lowest, as FAISS does. Distances do not depend on it.

    Returns:
        (n, ceil(bits / 8)) uint8; the bits after the last one are 0.

    Raises:
        TypeError: values that are not numbers.
        ValueError: not (n, bits); NaN; integers other than 0 and 1 (of signs -1 and 1, pack ``values > 0``).

    Example:
        >>> import vtsearch
        >>> vtsearch.pack([[0.3, -1.2, 0.0, 2.5], [1.0, 1.0, -0.1, -0.2]])
        array([[144],
               [192]], dtype=uint8)
    """
    _validate.choice("bitorder", bitorder, _BIT_ORDERS)
    array = _validate.matrix_of_values(values)
    if array.dtype in _PACKED_DTYPES:
        codes, is_valid = _native.pack(np.require(array, requirements=["C", "A"]), bitorder == "big")
        if is_valid and not _validate.are_signs_and_zeros(array):
            return codes
    _validate.check_values(array)  # integers of several bytes, or an error
    return np.packbits(array > 0, axis=1, bitorder=bitorder)


def unpack(codes: NDArray[Any], bits: int, *, bitorder: BitOrder = "big") -> NDArray[np.uint8]:
    """The bits of codes, one byte each.

    Args:
        codes: (n, ceil(bits / 8)) uint8.
        bits: length of a code.
        bitorder: "big" as ``pack`` writes by default, or "little".

    Returns:
        (n, bits) uint8 of 0 and 1.

    Raises:
        TypeError: codes that are not uint8; bits that are not an int.
        ValueError: codes of another width, or with bits set after the last one (another bit order or length).

    Example:
        >>> import vtsearch
        >>> vtsearch.unpack(vtsearch.pack([[1, 0, 0, 1]]), 4)
        array([[1, 0, 0, 1]], dtype=uint8)
    """
    _validate.choice("bitorder", bitorder, _BIT_ORDERS)
    rows, count = _validate.codes_of_bits(codes, bits, bitorder=bitorder)
    return np.unpackbits(rows, axis=1, count=count, bitorder=bitorder)


def prefix(codes: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """The first bits of codes: what a nested model gives as its shorter codes.

    Args:
        codes: (n, bytes) uint8, packed as ``pack`` does.
        bits: how many, at most 8 * bytes.

    Returns:
        (n, ceil(bits / 8)) uint8, a copy; the bits after the last one are 0.

    Raises:
        TypeError: codes that are not uint8; bits that are not an int.
        ValueError: codes of another shape; bits out of range.

    Example:
        >>> import vtsearch
        >>> vtsearch.prefix(vtsearch.pack([[1, 1, 0, 1]]), 3)
        array([[192]], dtype=uint8)
    """
    rows = _validate.codes_matrix("codes", codes)
    count = _validate.whole_number("bits", bits, 1, 8 * rows.shape[1])
    width = -(-count // 8)
    word = math.gcd(width, rows.shape[1], 8)  # bytes that are copied at a time
    cut = np.array(rows.view(f"u{word}")[:, : width // word], order="C").view(np.uint8)
    if count % 8:
        cut[:, -1] &= 0xFF << (8 - count % 8) & 0xFF
    return cut
