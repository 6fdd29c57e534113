"""``vtsearch export``: the codes of an index, or a model, for another tool."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from vtsearch._printable import printable
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.exchange import export
from vtsearch.exchange.formats import FormatName
from vtsearch.exchange.model_formats import ModelFormat, checked_model_format, is_model_folder, model_format
from vtsearch.index import Index

if TYPE_CHECKING:
    from argparse import Namespace

    from vtsearch.exchange import Exported

EXAMPLE = """  vtsearch export codes/database codes.faiss
  vtsearch export codes/database codes.parquet --overwrite
  vtsearch export codes/database postgresql://me@localhost/photos --table codes
  vtsearch export runs/cifar/final model.onnx"""
DESCRIPTION = """Write the codes of an index, or a model, for another tool.

Ids, labels and metadata are written where the format has a place for them. A model becomes a graph from preprocessed
images to features, and is compared with the file before it takes its name. The target appears as a whole or not at all.
docs/exchange.md has each format, and SQL to search what was written."""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("export", DESCRIPTION, EXAMPLE)
    command.add_argument(
        "source", help="folder of the index; or of the model, or its user/name of the Hugging Face hub"
    )
    command.add_argument("target", help="file to write, or a database, postgresql://USER@HOST/DATABASE")
    command.add_argument(
        "--to",
        type=Literal[FormatName, ModelFormat],
        help="format, onnx and pt2 of a model; by default what the target's name tells",
    )
    command.add_argument("--table", help="table of a database, with or without a schema; by default codes")
    command.add_argument(
        "--overwrite", action="store_true", help="replace the file, or the table if an export wrote it"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Export; prints what was written, and SQL to try on a database."""
    args = parser().parse_args(argv)
    if is_model_folder(args.source) or model_format(args.target, args.to) is not None:
        _export_model(args)
    else:
        _export_index(args)
    return 0


def _export_index(args: Namespace) -> None:
    with Index.open(args.source) as index:
        exported, bits = export(index, args.target, args.to, table=args.table, overwrite=args.overwrite), index.bits
    if args.json:
        print(json_text({"index": args.source, "bits": bits, **exported._asdict()}))
        return
    _show_left_out(exported)
    print(printable(f"{exported.target}: {exported.items:,} codes of {bits} bits ({exported.format})"))
    for query in exported.queries:
        print(printable(query))


def _export_model(args: Namespace) -> None:
    name = checked_model_format(args.target, args.to, f"the model {args.source}")
    if args.table is not None:
        raise ValueError(f"table: expected none with format {name}, got {args.table!r}")
    from vtsearch.models import export_model

    exported = export_model(args.source, args.target, name, overwrite=args.overwrite)
    if args.json:
        print(json_text({"model": args.source, **exported._asdict()}))
        return
    size = f"{exported.image_size} x {exported.image_size}"
    print(
        printable(f"{exported.target}: model of {exported.bits} bits for images of {size} pixels ({name}, ")
        + f"{exported.megabytes} MB); its features differ by {exported.difference:.1g} at most from the model's"
    )


def _show_left_out(exported: Exported) -> None:
    if exported.left_out:
        names = ", ".join(exported.left_out)
        print(f"vtsearch export: warning: {exported.format} has no place for {names}; left out", file=sys.stderr)
