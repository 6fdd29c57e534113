"""The page: static files, and the same files bound into one. Needs the standard library alone."""

from __future__ import annotations

from vtsearch.page.bundle import asset, modules, names, one_file

__all__ = ["asset", "modules", "names", "one_file"]
