"""The reports of a grid: index.html, results.md, results.tex, results.csv and the figures."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from vtsearch._atomic_io import write_file
from vtsearch.data.pictures import image_loader
from vtsearch.reproduction import tables
from vtsearch.reproduction.page import page

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.reproduction.results import Collection

PAGE, MARKDOWN, LATEX, TABLE = "index.html", "results.md", "results.tex", "results.csv"


def write_reports(folder: Path, collection: Collection) -> Path:
    """Write every report, each file atomically, and delete figures without runs from an older report.

    Args:
        folder: of the grid.
        collection: the results of its runs.

    Returns:
        The path of the page.

    Raises:
        OSError: the folder is not writable.
    """
    names = _draw(folder, collection)
    for old in folder.glob("fig2_*.png"):
        if old.name not in names:
            old.unlink()
    write_file(folder / MARKDOWN, tables.markdown(collection, names).encode())
    write_file(folder / LATEX, tables.latex(collection).encode())
    write_file(folder / TABLE, tables.table(collection).encode())
    write_file(folder / PAGE, page(collection, image_loader).encode("utf-8", "backslashreplace"))
    return folder / PAGE


def _draw(folder: Path, collection: Collection) -> list[str]:
    """Draw one figure per protocol and code length; returns the names of the files, none without matplotlib."""
    if find_spec("matplotlib") is None:
        return []
    from vtsearch.reproduction.curves import png, published_figure  # noqa: PLC0415 (matplotlib is an extra)

    names = []
    with_runs = [row for row in collection.rows if row.runs]
    for protocol, bits in sorted({(row.protocol, row.bits) for row in with_runs}):
        rows = [row for row in with_runs if (row.protocol, row.bits) == (protocol, bits)]
        names.append(f"fig2_{protocol}_{bits}bits.png")
        write_file(folder / names[-1], png(published_figure(rows)))
    return names
