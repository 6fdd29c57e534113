"""Decoded and augmented batches for training and encoding."""

from __future__ import annotations
