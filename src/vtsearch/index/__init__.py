"""Codes that live on disk: a folder with ``index.sqlite`` (the truth) and immutable, mapped ``codes/*.npy``."""

from __future__ import annotations

from vtsearch.index.index import Answers, Index

__all__ = ["Answers", "Index"]
