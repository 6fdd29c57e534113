"""Export of an index, and import of codes, in the format that the caller or the path names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vtsearch._validate import whole_number
from vtsearch.exchange.formats import (
    FORMATS,
    KEPT,
    ExportOptions,
    Format,
    ImportOptions,
    format_name,
    refuse_options,
)
from vtsearch.exchange.items import has_given_ids
from vtsearch.index.about import checked_bits

if TYPE_CHECKING:
    from os import PathLike

    from vtsearch.exchange.content import Content
    from vtsearch.index import Index


class Exported(NamedTuple):
    """What an export wrote."""

    format: str
    target: str
    """Path, or address without a password, and table."""
    items: int
    left_out: tuple[str, ...]
    """What the index has and the format has no place for: "ids", "labels", "metadata", "fingerprints", ..."""
    queries: tuple[str, ...] = ()
    """SQL to search the target with, where it is a database."""


def export(
    index: Index,
    target: str | PathLike[str],
    format: str | None = None,  # noqa: A002 (the word for it everywhere)
    *,
    table: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the items of an index for another tool; the target appears as a whole or not at all.

    Args:
        index: an open index, which nothing may change meanwhile.
        target: a file, or the address of a PostgreSQL database (``postgresql://...``).
        format: a name in ``FORMATS``; by default what the target's name tells.
        table: for a database, the table's name, with or without a schema; by default "codes".
        overwrite: whether a file of that name, or a table that an export wrote, is replaced.

    Raises:
        FileExistsError: the target exists, and ``overwrite`` is false.
        FileNotFoundError: no folder to write it into.
        ModuleNotFoundError: a package is missing; the message names the extra that brings it.
        ValueError: an unknown format; options or items that it has no form for, such as codes of 64 bits as PDQ.
        VtsearchError: a database that refuses.
        OSError: a file that cannot be written.
    """
    target = os.fspath(target)
    name = format_name("target", target, format)
    entry = FORMATS[name]
    refuse_options(name, table=table)
    if not entry.beginnings:
        check_file(Path(target), overwrite=overwrite)
    written = entry.load().write(index, target, ExportOptions(name, overwrite, table))
    return Exported(name, written.target, len(index), _left_out(index, entry), written.queries)


def read(
    source: str | PathLike[str],
    format: str | None = None,  # noqa: A002 (the word for it everywhere)
    *,
    bits: int | None = None,
    table: str | None = None,
    codes: str | None = None,
    labels: str | None = None,
) -> Content:
    """Codes that another tool has written, to be added to an index.

    Args:
        source: a file, or the address of a PostgreSQL database (``postgresql://...``).
        format: a name in ``FORMATS``; by default what the source's name tells.
        bits: length of the codes, where the source does not tell it, as packed codes do not.
        table: for a database, the table's name, with or without a schema; by default "codes".
        codes: name of the column or array of codes, where there are several.
        labels: name of the array of labels, likewise.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: a package is missing; the message names the extra that brings it.
        TypeError: arrays of other types.
        ValueError: an unknown format; options that it does not take; codes of another length than ``bits``.
        VtsearchError: a file of something else, or a damaged one; a database that refuses.
    """
    source = os.fspath(source)
    name = format_name("source", source, format)
    entry = FORMATS[name]
    refuse_options(name, table=table, codes=codes, labels=labels)
    if bits is not None:
        bits = checked_bits(whole_number("bits", bits, 1))
    if not entry.beginnings and not Path(source).exists():
        raise FileNotFoundError(2, "no such file", source)
    return entry.load().read(source, ImportOptions(name, bits, table, codes, labels))


def check_file(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that exists or cannot be made, before any work.

    Raises:
        FileExistsError, FileNotFoundError, ValueError: as ``export``.
    """
    if path.is_dir() or (os.path.lexists(path) and not path.is_file()):
        raise ValueError(f"target: expected the name of a file to write, got {str(path)!r}, which is none")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(
            f"target: expected a new file, got {str(path)!r}, which exists; --overwrite (overwrite=True) replaces it"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"target: expected a file in a folder that exists, got {str(path)!r}")


def _left_out(index: Index, entry: Format) -> tuple[str, ...]:
    has = {
        "ids": "ids" not in entry.keeps and has_given_ids(index),
        "labels": index.labels() is not None,
        "metadata": any(entry.columns.get(name) != kind for name, kind in index.columns().items()),
        "fingerprints": bool(index.fingerprints),
        "classes": bool(index.classes),
        "description": bool(index.description),
    }
    left_out = [name for name in KEPT if has[name] and name not in entry.keeps]
    return (*left_out, *(["decisions"] if index.decisions() else []))  # which no format has a place for
