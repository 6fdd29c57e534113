"""``vtsearch import``: an index of codes that another tool has written."""

from __future__ import annotations

import sys
from typing import Literal

from vtsearch._printable import printable
from vtsearch.cli.output import check_output_folder, json_text, label_form
from vtsearch.cli.parser import CommandParser
from vtsearch.exchange import read
from vtsearch.exchange.formats import FormatName
from vtsearch.index import Index

EXAMPLE = """  vtsearch import codes.parquet --output codes/copy
  vtsearch import codes.faiss --output codes/copy --bits 12
  vtsearch import results.mat --output codes/database --codes retrieval_B
  vtsearch import embeddings.npy --from ubinary --output codes/texts
  vtsearch import today.parquet --output codes/database --into upsert"""
DESCRIPTION = """Make an index of codes that another tool has written, or of signs, bits or features.

The index appears as a whole or not at all. docs/exchange.md has each format."""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("import", DESCRIPTION, EXAMPLE)
    command.add_argument("source", help="file to read, or a database, postgresql://USER@HOST/DATABASE")
    command.add_argument("--output", required=True, help="folder of the new index, or of the one to append to")
    command.add_argument("--from", type=FormatName, help="format; by default what the source's name tells")
    command.add_argument(
        "--into",
        type=Literal["add", "upsert"],
        help="append to the index that --output is, in one change: add refuses ids that it has, upsert replaces them",
    )
    command.add_argument("--bits", type=int, help="length of the codes, where the source has whole bytes only")
    command.add_argument("--table", help="table of a database, with or without a schema; by default codes")
    command.add_argument("--codes", help="name of the column or array of codes, where there are several")
    command.add_argument("--labels", help="name of the array of labels, likewise")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Import; prints what is in the new index."""
    args = parser().parse_args(argv)
    check_output_folder("output", args.output)
    content = read(args.source, args["from"], bits=args.bits, table=args.table, codes=args.codes, labels=args.labels)
    if args.into is None:
        items = content.create(args.output)
    else:
        with Index.open(args.output) as index:
            items = content.into(index, replace=args.into == "upsert")
    for remark in content.remarks:
        print(f"vtsearch import: warning: {printable(remark)}", file=sys.stderr)
    with Index.open(args.output) as index:
        form, columns = label_form(index.labels()), list(index.columns())
    if args.json:
        facts = {"source": content.source, "index": args.output, "items": items, "bits": content.bits}
        print(json_text({**facts, "labels": form, "metadata": columns, "remarks": list(content.remarks)}))
    else:
        known = f"labels: {form}; metadata: {', '.join(columns) or 'none'}"
        print(printable(f"{args.output}: {items:,} codes of {content.bits} bits; {known}"))
    return 0
