"""The formats by name: module, names of files, and what each keeps of an index."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from vtsearch.errors import suggestion

if TYPE_CHECKING:
    from vtsearch.exchange.content import Content
    from vtsearch.index import Index


class ExportOptions(NamedTuple):
    """Options of an export."""

    format: str
    overwrite: bool = False
    """Whether a file or a table of the target's name is replaced."""
    table: str | None = None
    """Name of the table, for a database."""


class ImportOptions(NamedTuple):
    """Options of an import."""

    format: str
    bits: int | None = None
    """Length of the codes, where the source does not tell it."""
    table: str | None = None
    """Name of the table, for a database."""
    codes: str | None = None
    """Name of the column or array of codes, where there are several."""
    labels: str | None = None
    """Name of the array of labels, likewise."""


class Written(NamedTuple):
    """What an export has written, beside the items."""

    target: str
    """Path, or address without a password, and table."""
    queries: tuple[str, ...] = ()
    """SQL that ranks the items by their distance from the first one."""


class Module(Protocol):
    """A module of one format."""

    def write(self, index: Index, target: str, options: ExportOptions) -> Written:
        """Write the items of an index; what is there already has been refused, or is to be replaced."""

    def read(self, source: str, options: ImportOptions) -> Content:
        """Open a source."""


@dataclass(frozen=True)
class Format:
    """An entry of the table of formats."""

    module: str
    keeps: frozenset[str]
    """Of ``KEPT``: what the format has a place for, beside the codes."""
    endings: tuple[str, ...] = ()
    """Of the names of its files."""
    beginnings: tuple[str, ...] = ()
    """Of the addresses of its databases."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of metadata, with their types, that a format keeps which has no place for others."""
    options: frozenset[str] = frozenset()
    """Of ``table``, ``codes`` and ``labels``: those that it takes."""

    def load(self) -> Module:
        """Import the module."""
        module: Any = importlib.import_module(f"vtsearch.exchange.{self.module}")
        loaded: Module = module
        return loaded


KEPT = ("ids", "labels", "metadata", "fingerprints", "classes", "description")
"""What an index has beside codes."""

_ALL = frozenset(KEPT)
_BUT_METADATA = _ALL - {"metadata"}
_NOTHING: frozenset[str] = frozenset()

FormatName = Literal["faiss", "parquet", "postgres", "npz", "mat", "npy", "ubinary", "binary", "pdq"]

FORMATS = {
    "faiss": Format("faiss", frozenset({"ids"}), (".faiss", ".index")),
    "parquet": Format("parquet", _ALL, (".parquet", ".pq"), options=frozenset({"codes"})),
    "postgres": Format(
        "postgres", _ALL, beginnings=("postgresql://", "postgres://"), options=frozenset({"table", "codes"})
    ),
    "npz": Format("npz", _BUT_METADATA, (".npz",), options=frozenset({"codes", "labels"})),
    "mat": Format("mat", _BUT_METADATA, (".mat",), options=frozenset({"codes", "labels"})),
    "npy": Format("npy", _NOTHING, (".npy",)),
    "ubinary": Format("ubinary", _NOTHING),
    "binary": Format("ubinary", _NOTHING),
    "pdq": Format(
        "pdq", frozenset({"ids"}), (".pdq", ".txt", ".csv"), columns={"quality": "INTEGER", "timestamp": "TEXT"}
    ),
}
"""Format name -> its entry. Names of files and addresses choose the first that fits; others have to be named."""


def format_name(argument: str, path: str, name: str | None) -> str:
    """The format that is asked for, or else that of a path or an address.

    Raises:
        ValueError: an unknown name; a path that does not tell its format.
    """
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {name!r}{suggestion(name, FORMATS)}")
        return name
    for each, entry in FORMATS.items():
        if path.lower().endswith(entry.endings) or path.startswith(entry.beginnings):
            return each
    known = [ending for entry in FORMATS.values() for ending in (*entry.endings, *entry.beginnings)]
    raise ValueError(f"{argument}: expected a path that ends as {', '.join(known)}, or a format by name, got {path!r}")


def refuse_options(name: str, **options: str | None) -> None:
    """Refuse options that a format does not take.

    Raises:
        ValueError: naming the first.
    """
    for option, value in options.items():
        if value is not None and option not in FORMATS[name].options:
            raise ValueError(f"{option}: expected none with format {name}, got {value!r}")
