"""Codes that live on disk: a folder with ``index.sqlite`` (the truth) and immutable, mapped ``codes/*.npy``."""

from __future__ import annotations

from vtsearch.index.answers import Answers
from vtsearch.index.decisions import Decision, Verdict
from vtsearch.index.duplicate_groups import DuplicateGroup
from vtsearch.index.explanation import SearchExplanation
from vtsearch.index.index import Index
from vtsearch.index.view import IndexView

__all__ = ["Answers", "Decision", "DuplicateGroup", "Index", "IndexView", "SearchExplanation", "Verdict"]
