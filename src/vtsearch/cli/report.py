"""``vtsearch report``: runs and indexes as one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.cli import format_error
from vtsearch.cli.output import check_output_file, json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.data.locate import ImageLocator
from vtsearch.data.pictures import Pictures
from vtsearch.errors import VtsearchError
from vtsearch.frameworks import FRAMEWORKS
from vtsearch.reports import write_html_report
from vtsearch.reports.html_report import PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from vtsearch.index import Index

EXAMPLE = """  vtsearch report runs/digits --output report.html
  vtsearch report runs/csq-* runs/hashnet-* --output comparison.html --title "CSQ and HashNet"
  vtsearch report runs/table3 --output table3.html        (the grid of vtsearch reproduce)
  vtsearch report photos.index --output photos.html --pictures 20"""

DESCRIPTION = """Write one HTML file to look at and to hand in: tables, curves and pictures of runs and indexes.

Runs that differ in their seeds alone are one line of a table: mean and deviation. An index with labels is evaluated:
a sample of its items asks for the others. The file needs no network, prints on A4, and gives each table as Markdown and
LaTeX and each figure as CSV. Equal inputs give equal bytes."""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("report", DESCRIPTION, EXAMPLE)
    command.add_argument(
        "folders",
        nargs="+",
        help="runs of vtsearch train, grids of vtsearch reproduce, indexes, folders with a query and a database index",
    )
    command.add_argument("--output", required=True, help="the HTML file; an existing one is replaced")
    command.add_argument("--title", help="title of the report; by default what it is about")
    command.add_argument(
        "--pictures", type=int, default=PICTURES, help="worst queries, and best ones, that are pictured; 0 for none"
    )
    command.add_argument("--images", help="folder of the images of the indexes, if it has moved")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Write the report; prints its path."""
    args = parser().parse_args(argv)
    check_output_file("output", args.output)
    if args.images is not None and not Path(args.images).exists():
        raise FileNotFoundError(2, "images: no such folder", args.images)
    images = _Images(args.images)
    path = write_html_report(
        args.folders,
        args.output,
        title=args.title,
        pictures=args.pictures,
        images=images.of if args.pictures > 0 else None,
        titles=FRAMEWORKS,
    )
    for note in images.notes():
        print(f"vtsearch report: {note}", file=sys.stderr)
    size = path.stat().st_size
    print(json_text({"output": str(path), "bytes": size}) if args.json else f"{path}: {size:,} bytes")
    return 0


class _Images:
    """Loads the images of indexes, and says which cannot be found."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._opened: list[Pictures] = []

    def of(self, index: Index) -> Callable[[int], Image] | None:
        """How the images of an index are loaded; None if it does not know them, or they are gone."""
        try:
            pictures = Pictures(ImageLocator.of(index, root=self._root))
        except (VtsearchError, OSError) as error:
            print(f"vtsearch report: no pictures: {format_error(error)}", file=sys.stderr)
            return None
        self._opened.append(pictures)
        return pictures.load

    def notes(self) -> list[str]:
        """A line for each index with images that could not be read."""
        return [note for note in (pictures.note() for pictures in self._opened) if note]
