"""The report document: sections of typed blocks that are plain JSON, drawn by the page's ``report.js``.

A block holds numbers and texts, no markup: some of its texts are file names and labels. The page draws it, and makes
CSV, Markdown and LaTeX of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Literal

FORMAT = 1
NONE = "\N{EN DASH}"
"""A number that there is not."""
DIGITS = 6
"""Significant digits of a number in the document: more than any figure shows."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    detail: str = ""
    """A second, smaller line, such as bounds; exports leave it out."""
    strong: bool = False


@dataclass(frozen=True)
class Group:
    """A line over the next rows of a table, that names what they share."""

    group: str


Row = Sequence[Cell | str] | Group


@dataclass(frozen=True)
class Table:
    """A table; the page offers it as CSV, Markdown and LaTeX."""

    kind: ClassVar[str] = "table"
    title: str
    head: Sequence[str]
    rows: Sequence[Row]
    note: str = ""
    """All that the numbers depend on, under the table."""
    texts: int = 1
    """How many columns hold words, from the left; the others are numbers, on the right."""
    folded: bool = False
    """Whether it is opened by a click; on paper it is open."""
    narrow: bool = False
    """Whether another block may stand beside it."""


@dataclass(frozen=True)
class Axis:
    """What a side of a chart measures."""

    label: str
    low: float | None = None
    """Its ends; by default those of the numbers."""
    high: float | None = None
    scale: Literal["linear", "log", "root"] = "linear"
    ticks: Sequence[float] = ()
    """Where it is labelled; by default at round numbers."""


@dataclass(frozen=True)
class Series:
    """A curve, or the bars of one kind."""

    name: str
    points: Sequence[tuple[float, float]]
    spread: Sequence[float] = ()
    """Of each point, above and below it; none where there is one run."""


@dataclass(frozen=True)
class Panel:
    """One of several small charts with the same axes."""

    title: str
    series: Sequence[Series]
    line: float | None = None
    """Height of a dotted line for reference."""


@dataclass(frozen=True)
class Chart:
    """Curves, histograms or bars in one or more panels; a series has one colour and dash in all of them."""

    kind: ClassVar[str] = "chart"
    title: str
    form: Literal["lines", "steps", "bars"]
    x: Axis
    y: Axis
    panels: Sequence[Panel]
    note: str = ""
    reference: str = ""
    """What the dotted line is."""


@dataclass(frozen=True)
class Heat:
    """A square table of numbers from -1 to 1 as shades."""

    kind: ClassVar[str] = "heat"
    title: str
    names: Sequence[str]
    values: Sequence[Sequence[float]]
    note: str = ""


@dataclass(frozen=True)
class Confusion:
    """Counts of query class by class of the answers."""

    kind: ClassVar[str] = "confusion"
    title: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    note: str = ""


@dataclass(frozen=True)
class Item:
    """A picture with what is said of it."""

    id: str
    names: Sequence[str] = ()
    """Its class names."""
    picture: int | None = None
    """Its place in the document's pictures; None where there is none."""
    distance: int | None = None
    relevant: bool | None = None


@dataclass(frozen=True)
class Answered:
    """A query with its nearest answers."""

    query: Item
    answers: Sequence[Item]
    score: str = ""
    """What it is listed for, such as its average precision."""


@dataclass(frozen=True)
class Pictures:
    """Queries as rows of pictures."""

    kind: ClassVar[str] = "pictures"
    title: str
    rows: Sequence[Answered]
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """Names with values."""

    kind: ClassVar[str] = "facts"
    title: str
    pairs: Sequence[tuple[str, str]]
    note: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    tone: Literal["", "warning"] = ""


@dataclass(frozen=True)
class Listing:
    """Lines to copy: commands, or a configuration."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str
    folded: bool = False


Block = Table | Chart | Heat | Confusion | Pictures | Facts | Text | Listing


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]
    lead: str = ""
    """One sentence that says what is to be seen."""


@dataclass(frozen=True)
class Document:
    """A report."""

    title: str
    lead: str
    sections: Sequence[Section]
    pictures: Sequence[str] = ()
    """``data:`` addresses, each picture once."""
    format: int = field(default=FORMAT)


def plain(value: Any) -> Any:
    """A document, or a part of it, as objects, lists, texts and numbers for JSON; a block has its "kind".

    Numbers are rounded to six digits; what is not finite becomes None.
    """
    if is_dataclass(value):
        kind = {"kind": value.kind} if hasattr(value, "kind") else {}
        return kind | {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return _rounded(value)
    return value


def _rounded(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short
