"""Codes and labels in; numbers, curves, pictures and a report out. Knows no model and no data set."""

from __future__ import annotations

from vtsearch.evaluation.comparison import Comparison, compare
from vtsearch.evaluation.evaluation import CutOff, Evaluation, Gains, RadiusPoint, TiedScore, evaluate, map_name
from vtsearch.evaluation.report import ReportContext, write_report
from vtsearch.evaluation.retrievals import (
    PicturedSide,
    RetrievalRow,
    are_relevant,
    label_text,
    retrieval_rows,
    spread_over_classes,
)
from vtsearch.evaluation.statistics import Interval, PermutationTest, bootstrap_interval, permutation_test

__all__ = [
    "Comparison",
    "CutOff",
    "Evaluation",
    "Gains",
    "Interval",
    "PermutationTest",
    "PicturedSide",
    "RadiusPoint",
    "ReportContext",
    "RetrievalRow",
    "TiedScore",
    "are_relevant",
    "bootstrap_interval",
    "compare",
    "evaluate",
    "label_text",
    "map_name",
    "permutation_test",
    "retrieval_rows",
    "spread_over_classes",
    "write_report",
]
