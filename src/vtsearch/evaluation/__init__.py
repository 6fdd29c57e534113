"""Retrieval metrics, curves and statistics of codes with labels. Knows no model and no data set."""

from __future__ import annotations

from vtsearch.evaluation.code_statistics import BitStatistics, bit_statistics
from vtsearch.evaluation.comparison import Comparison, compare
from vtsearch.evaluation.evaluation import CutOff, Evaluation, Gains, RadiusPoint, TiedScore, map_name
from vtsearch.evaluation.scoring import evaluate, evaluation_of, with_vote
from vtsearch.evaluation.statistics import Interval, PermutationTest, bootstrap_interval, permutation_test

__all__ = [
    "BitStatistics",
    "Comparison",
    "CutOff",
    "Evaluation",
    "Gains",
    "Interval",
    "PermutationTest",
    "RadiusPoint",
    "TiedScore",
    "bit_statistics",
    "bootstrap_interval",
    "compare",
    "evaluate",
    "evaluation_of",
    "map_name",
    "permutation_test",
    "with_vote",
]
