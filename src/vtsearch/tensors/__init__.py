"""Tensor functions shared by models, frameworks and data: preprocessing of pixels, collectives over processes."""

from __future__ import annotations
