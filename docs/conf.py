"""Sphinx configuration of the documentation site: MyST pages, Google docstrings, the furo theme."""

from __future__ import annotations

import vtsearch

project = "vtsearch"
author = "The vtsearch developers"
copyright = "The vtsearch developers"  # noqa: A001 (Sphinx reads this name)
release = version = vtsearch.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"vtsearch {release}"

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
