"""Numbers as Markdown, JSON and figures. Needs matplotlib only where a figure is drawn."""

from __future__ import annotations

from vtsearch.reports.markdown import ReportContext, markdown_table, write_report
from vtsearch.reports.retrievals import (
    PicturedSide,
    RetrievalRow,
    are_relevant,
    label_text,
    retrieval_rows,
    spread_over_classes,
)

__all__ = [
    "PicturedSide",
    "ReportContext",
    "RetrievalRow",
    "are_relevant",
    "label_text",
    "markdown_table",
    "retrieval_rows",
    "spread_over_classes",
    "write_report",
]
