"""Evaluation of codes on the protocol of their images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.evaluation import Evaluation, evaluate, with_vote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.data import RetrievalData


def evaluate_codes(
    query_codes: NDArray[np.uint8], db_codes: NDArray[np.uint8], data: RetrievalData, *, bits: int
) -> Evaluation:
    """All scores of codes (q, bytes) and (n, bytes) of a protocol's query and database, at its k, with the vote."""
    labels, split = data.source.labels, data.split
    both = query_codes, db_codes, labels[split.query], labels[split.database]
    return with_vote(evaluate(*both, data.protocol.k, bits=bits), *both)
