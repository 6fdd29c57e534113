"""Retrieval metrics of codes and labels, exact under ties: knows packed codes and integers, no files and no models.

docs/metrics.md has the definitions, ``vtsearch.reference`` the same in plain numpy.
"""

from __future__ import annotations

from vtsearch.metrics.by_index import PrecisionSums, precision_sums
from vtsearch.metrics.first_relevant import hit_at, r_precision, reciprocal_rank
from vtsearch.metrics.graded import acg_at, ndcg_at, wap_at
from vtsearch.metrics.histograms import Normalizer, RelevanceHistograms, relevance_histograms
from vtsearch.metrics.precision import (
    Ties,
    average_precision,
    average_precision_of,
    mean_average_precision,
    precision_at,
    precision_within,
    recall_at,
    recall_within,
)
from vtsearch.metrics.votes import vote_accuracy

__all__ = [
    "average_precision",
    "mean_average_precision",
    "RelevanceHistograms",
    "relevance_histograms",
    "average_precision_of",
    "PrecisionSums",
    "precision_sums",
    "precision_at",
    "recall_at",
    "hit_at",
    "reciprocal_rank",
    "r_precision",
    "precision_within",
    "recall_within",
    "ndcg_at",
    "acg_at",
    "wap_at",
    "vote_accuracy",
    "Ties",
    "Normalizer",
]
