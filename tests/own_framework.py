"""The framework of a user's own that docs/frameworks.md shows, as a file."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "frameworks.md"


def write(folder):
    """Write the file of the page; returns what ``--framework`` takes."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    path = folder / "my_file.py"
    path.write_text(text)
    return f"{path}:MyLoss"
