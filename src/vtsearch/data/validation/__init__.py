"""Comparison of a user's copy of a data set with its published protocol."""

from __future__ import annotations
