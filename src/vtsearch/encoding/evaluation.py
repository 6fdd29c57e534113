"""Evaluation of codes on the protocol of their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtsearch.evaluation import Evaluation, evaluate, with_vote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.data import RetrievalData


@dataclass(frozen=True)
class Sides:
    """Codes of a query and a database, (q, bytes) and (n, bytes) uint8, and their length."""

    query: NDArray[np.uint8]
    database: NDArray[np.uint8]
    bits: int


def evaluate_codes(sides: Sides, data: RetrievalData) -> Evaluation:
    """All scores of the codes of a protocol's query and database, at its k, with the vote."""
    split = data.split
    return evaluate_at(sides, data, split.query, split.database, k=data.protocol.k)


def evaluate_at(
    sides: Sides, data: RetrievalData, query: NDArray[np.int64], database: NDArray[np.int64], *, k: int | None
) -> Evaluation:
    """All scores at k, with the vote, of the codes of the images at q and n positions."""
    labels = data.source.labels
    both = sides.query, sides.database, labels[query], labels[database]
    return with_vote(evaluate(*both, k, bits=sides.bits), *both)
