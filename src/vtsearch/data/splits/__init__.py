"""Splits into queries, training set and database: the class, its sampling rules, its files."""

from __future__ import annotations
