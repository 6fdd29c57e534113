"""The figures that the model of a cluster stands on: each is read from docs/measurements.md, where it was measured."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

PAGE = Path(__file__).parents[1] / "docs" / "measurements.md"
NUMBER = r"([\d][\d,]*(?:\.\d+)?)"
MODEL = "the model of a cluster"
HUNDRED_MILLION = "an index of a hundred million codes"
PHOTOGRAPHS = "photographs of 12 megapixels, decoded whole and reduced"
SERVER = "the page and its server"


class Source(NamedTuple):
    """A number of docs/measurements.md."""

    section: str
    """Heading, without its date."""
    line: str
    """A regular expression of a part of a line, with ``#`` for the number."""
    unit: str
    meaning: str
    into: Callable[[float], float] = float
    """From the number of the page to the unit of the model."""

    def text(self) -> str:
        """What the page says.

        Raises:
            LookupError: the section has no such line, or several.
        """
        return " ".join(self._match().group(0).replace("|", " ").split())

    def read(self) -> float:
        """The figure in the unit of the model."""
        return self.into(float(self._match().group(1).replace(",", "")))

    def _match(self) -> re.Match[str]:
        body = _sections().get(self.section, "")
        found = list(re.finditer(self.line.replace("#", NUMBER, 1), body))
        if len(found) != 1:
            raise LookupError(f"{PAGE.name}, {self.section!r}: {len(found)} lines like {self.line!r}, expected one")
        return found[0]


@functools.cache
def _sections() -> dict[str, str]:
    parts = re.split(r"^## \d{4}-\d\d-\d\d: (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _row(name: str, unit: str, meaning: str, into: Callable[[float], float] = float) -> Source:
    """A row of the table that ``--measure`` prints."""
    return Source(MODEL, rf"\| {re.escape(name)} \| # \|", unit, meaning, into)


def _share(count: float) -> Callable[[float], float]:
    return lambda number: number / count


SOURCES = {
    "scan_1": _row("scan, 1 query", "Gpairs/s", "a scan of one thread, 1 query"),
    "scan_16": _row("scan, 16 queries", "Gpairs/s", "16 queries"),
    "scan_64": _row("scan, 64 queries", "Gpairs/s", "64 queries"),
    "scan_1024": _row("scan, 1,024 queries", "Gpairs/s", "1,024 queries"),
    "memory": _row("scan, memory read", "GB/s", "codes read by all threads of the machine, 1 query"),
    "remap": _row("scan, pages mapped again", "ms/MB", "mapping codes again that were released, beyond 256 MiB"),
    "speedup": _row("scan, all threads, times one", "", "what all threads of that machine do, against one, 64 queries"),
    "call": _row("search, call in this process", "ms", "a search of few codes in this process"),
    "merge": _row("merge, a result", "ns", "merging rankings, for each result that a shard gives"),
    "actor": _row("actor, round trip", "ms", "a call of one actor and its answer"),
    "next_actor": _row("actor, each further one", "ms", "each further actor that is asked at the same time"),
    "transfer": _row("actor, answer", "GB/s", "results from an actor to the process that asks"),
    "id": _row("ids, a result", "ns", "the id of an item that was found"),
    "tables_1": Source(
        HUNDRED_MILLION,
        r"\| 1 query, k = 10, by tables \| # \|",
        "ms",
        "one query by tables, clustered codes",
        lambda s: s * 1e3,
    ),
    "tables_64": Source(
        HUNDRED_MILLION,
        r"\| 64 queries, k = 10, by tables \| # \|",
        "ms",
        "a query of 64 by tables",
        lambda s: s * 1e3 / 64,
    ),
    "disk": Source(
        HUNDRED_MILLION,
        r"\| add, 2\^22 at a time \| [\d]+ \| # GB on disk",
        "bytes",
        "an item of an index on disk",
        _share(0.1),
    ),
    "disk_tables": Source(
        HUNDRED_MILLION,
        r"\| compact with tables \| [\d.]+ \| # GB on disk",
        "bytes",
        "an item with tables",
        _share(0.1),
    ),
    "add": Source(HUNDRED_MILLION, r"\| add, 2\^22 at a time \| # \|", "us", "adding an item to an index", _share(100)),
    "request": Source(SERVER, "One interpreter takes # ms of processor a request", "ms", "a request of the HTTP API"),
    "photo_bytes": Source(PHOTOGRAPHS, "of quality 90: # MB each", "MB", "a megapixel of a JPEG", _share(12)),
    "decode": Source(
        PHOTOGRAPHS, r"\| read the file, ms \| 137 \| # \|", "ms", "a megapixel of a JPEG, read and decoded", _share(12)
    ),
    "resize": Source(
        PHOTOGRAPHS, r"\| resize to the model's pixels, ms \| 13.0 \| # \|", "ms", "an image for a model of 224"
    ),
    "model": _row("ViT-Ti/16, 224 pixels, an image", "ms", "ViT-Ti/16 at 224 pixels, one thread"),
    "mAP": _row("mAP, 1,000 queries", "Gpairs/s", "histograms of distances and relevance of one thread, ten classes"),
    "key": _row("duplicates, a key of a table", "ns", "sorting a code by a substring"),
    "pair": _row("duplicates, a pair in a bucket", "ns", "comparing two codes of a bucket"),
}
"""Name -> where its figure stands."""


class Figures:
    """Measured figures by name: of the documentation, or of a file that ``--measure`` wrote."""

    def __init__(self, numbers: dict[str, float]) -> None:
        missing = sorted(set(SOURCES) - set(numbers))
        if missing:
            raise LookupError(f"figures: expected all of SOURCES, got none for {', '.join(missing)}")
        self._numbers = numbers

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    @classmethod
    def documented(cls) -> Figures:
        """The figures of docs/measurements.md."""
        return cls({name: source.read() for name, source in SOURCES.items()})

    @classmethod
    def load(cls, path: Path) -> Figures:
        """Those of a file that ``--measure`` wrote, and for the others those of docs/measurements.md."""
        measured = json.loads(path.read_text(encoding="utf-8"))
        return cls({name: measured[name] if name in measured else source.read() for name, source in SOURCES.items()})

    def pairs(self, queries: int) -> float:
        """Pairs a second of one thread that scans: measured at four sizes of a batch, between them by logarithms."""
        sizes = np.log2([1, 16, 64, 1024])
        speeds = np.log2([self[f"scan_{size}"] for size in (1, 16, 64, 1024)])
        return 1e9 * float(2 ** np.interp(np.log2(queries), sizes, speeds))
