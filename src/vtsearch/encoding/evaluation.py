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
    split = data.split
    return evaluate_at(query_codes, db_codes, data, split.query, split.database, k=data.protocol.k, bits=bits)


def evaluate_at(
    query_codes: NDArray[np.uint8],
    db_codes: NDArray[np.uint8],
    data: RetrievalData,
    query: NDArray[np.int64],
    database: NDArray[np.int64],
    *,
    k: int | None,
    bits: int,
) -> Evaluation:
    """All scores at k of codes (q, bytes) and (n, bytes) of the images at these positions, with the vote."""
    labels = data.source.labels
    both = query_codes, db_codes, labels[query], labels[database]
    return with_vote(evaluate(*both, k, bits=bits), *both)
