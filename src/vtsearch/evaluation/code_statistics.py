"""How codes use their bits: the share of ones, and the correlation of each two bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vtsearch import _validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class BitStatistics:
    """Balance and correlation of bits."""

    balance: NDArray[np.float64]
    """(bits,): share of ones; 0.5 is best."""
    correlation: NDArray[np.float64]
    """(bits, bits): Pearson's r; 0 where a bit never changes."""

    @property
    def partner(self) -> NDArray[np.int64]:
        """(bits,): the other bit of the strongest correlation, the first of equals; of a single bit itself."""
        strength = np.abs(self.correlation)
        np.fill_diagonal(strength, -1)
        return np.asarray(strength.argmax(axis=1))

    @property
    def partner_correlation(self) -> NDArray[np.float64]:
        """(bits,): the correlation with that bit."""
        return np.asarray(self.correlation[np.arange(len(self.balance)), self.partner])


def bit_statistics(values: ArrayLike) -> BitStatistics:
    """Balance and correlation of the bits of codes.

    Args:
        values: (n, bits) of 0 and 1, as ``vtsearch.unpack`` returns them; n at least 1.

    Raises:
        ValueError: another shape, or no codes.
    """
    array = _validate.as_array("values", values)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"values: expected (n, bits) of 0 and 1, got {array.shape}")
    # sums of whole numbers: equal on every machine
    ones = array.sum(axis=0, dtype=np.int64)
    floats = array.astype(np.float64)
    both = floats.T @ floats
    count = len(array)
    covariance = both / count - np.outer(ones, ones) / count**2
    deviation = np.sqrt(np.clip(np.diag(covariance), 0, None))
    scale = np.outer(deviation, deviation)
    correlation = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 1e-12)
    return BitStatistics(ones / count, np.clip(correlation, -1, 1))
