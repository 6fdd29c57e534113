"""Codes and labels in; numbers, curves, pictures and a report out. Knows no model and no data set."""

from __future__ import annotations

from vtsearch.evaluation.evaluation import CutOff, Evaluation, Gains, RadiusPoint, TiedScore, evaluate
from vtsearch.evaluation.report import ReportContext, RetrievalRow, write_report

__all__ = [
    "CutOff",
    "Evaluation",
    "Gains",
    "RadiusPoint",
    "ReportContext",
    "RetrievalRow",
    "TiedScore",
    "evaluate",
    "write_report",
]
