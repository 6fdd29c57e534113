"""Numbers as Markdown, JSON, figures and one HTML file. Needs matplotlib only where a figure is drawn."""

from __future__ import annotations

from vtsearch.reports.html_report import write_html_report
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
    "write_html_report",
    "write_report",
]
