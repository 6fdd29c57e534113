"""The bits of the codes of an index: balance, correlation, and items on either side of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vtsearch.codes import unpack
from vtsearch.evaluation.code_statistics import BitStatistics, bit_statistics
from vtsearch.serve.errors import NotThere
from vtsearch.serve.facets import sample
from vtsearch.serve.wire import Bits, BitSides

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.serve.served_index import IndexState

SAMPLED = 20_000
SHOWN = 8
"""Items on each side of a bit."""


class _Sampled(NamedTuple):
    positions: NDArray[np.int64]
    values: NDArray[np.uint8]
    """0/1 (n, bits)"""
    statistics: BitStatistics


def bits(state: IndexState) -> Bits:
    """Statistics of each bit.

    Raises:
        ValueError: an index without items.
    """
    found = _sampled(state)
    return Bits(
        bits=state.bits,
        sampled=len(found.positions),
        balance=found.statistics.balance.tolist(),
        partner=found.statistics.partner.tolist(),
        correlation=found.statistics.partner_correlation.tolist(),
    )


def bit_sides(state: IndexState, bit: int) -> BitSides:
    """Some items with 0 and some with 1 at a bit, spread over the sample.

    Raises:
        NotThere: a bit beyond the codes.
        ValueError: an index without items.
    """
    if not 0 <= bit < state.bits:
        raise NotThere(f"bit: expected one of 0 to {state.bits - 1}, got {bit}")
    found = _sampled(state)
    sides = [_spread(found.positions[found.values[:, bit] == value]) for value in (0, 1)]
    zeros, ones = (state.items(side) for side in sides)
    balance, partner, correlation = (
        values[bit].item()
        for values in (found.statistics.balance, found.statistics.partner, found.statistics.partner_correlation)
    )
    return BitSides(bit=bit, balance=balance, partner=partner, correlation=correlation, zeros=zeros, ones=ones)


def _sampled(state: IndexState) -> _Sampled:
    if not len(state):
        raise ValueError(f"index: expected an index with items, got {state.name}, which has none")

    def make() -> _Sampled:
        positions = sample(len(state), SAMPLED)
        values = unpack(state.index.database().rows(positions), state.bits)
        return _Sampled(positions, values, bit_statistics(values))

    return state.kept.get("bits", make, lambda made: made.positions.nbytes + made.values.nbytes)


def _spread(positions: NDArray[np.int64]) -> list[int]:
    """At most eight positions, at equal steps."""
    steps = np.linspace(0, len(positions) - 1, min(SHOWN, len(positions))).astype(np.int64)
    chosen: list[int] = positions[steps].tolist()
    return chosen
