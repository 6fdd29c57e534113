"""Codes for other tools, and from them: FAISS, Parquet, PostgreSQL, NumPy, MATLAB, sentence-transformers, PDQ.

A format is one module, whose package is imported when it is used.
"""

from __future__ import annotations

from vtsearch.exchange.content import Content
from vtsearch.exchange.formats import FORMATS
from vtsearch.exchange.transfer import Exported, export, read

__all__ = ["FORMATS", "Content", "Exported", "export", "read"]
