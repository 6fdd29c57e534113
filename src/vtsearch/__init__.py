"""Vision Transformer Hashing: learn short binary codes for images, then rank, search and evaluate them."""

from __future__ import annotations
