"""Image sources: one module per file layout, all with the interface of ``ImageSource``."""

from __future__ import annotations
