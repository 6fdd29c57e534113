"""Sphinx configuration of the documentation site: MyST pages, Google docstrings, the furo theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtsearch

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "vtsearch"
author = "The vtsearch developers"
copyright = "The vtsearch developers"  # noqa: A001 (Sphinx reads this name)
release = version = vtsearch.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"vtsearch {release}"

suppress_warnings = ["misc.highlighting_failure"]  # of parameters such as $query in the SQL of DuckDB

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# The packages of the extra train: the site is built with the base package alone.
autodoc_mock_imports = [
    "PIL",
    "accelerate",
    "huggingface_hub",
    "pyarrow",
    "safetensors",
    "sklearn",
    "timm",
    "torch",
    "torchvision",
    "tqdm",
]
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def _keep_colon(_app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Keep the first line of an attribute whole: napoleon takes the words before a colon as a type."""
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]  # an empty comment, which has no colon


def setup(app: Sphinx) -> None:
    """Register the hooks of this file."""
    app.connect("autodoc-process-docstring", _keep_colon, priority=400)  # before napoleon
