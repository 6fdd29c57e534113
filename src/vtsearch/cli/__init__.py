"""The command line: arguments, files and output; no computation.

``vtsearch NAME ...`` imports ``vtsearch.cli.NAME`` (``import_`` for the keyword) and calls its ``run(argv)``, so that
asking for help stays quick.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from vtsearch import _native
from vtsearch._error_text import format_error
from vtsearch._printable import printable
from vtsearch.cli.boundary import INTERNAL_ERROR, INTERRUPTED, USAGE_ERROR, conclude
from vtsearch.cli.streams import standard_streams
from vtsearch.errors import VtsearchError, did_you_mean

__all__ = ["COMMANDS", "INTERNAL_ERROR", "INTERRUPTED", "USAGE_ERROR", "command_module", "format_error", "main"]

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "demo": "train, encode, evaluate and picture a small example; no download, about a minute",
    "data": "list the protocols, check a copy of a data set, split your own images",
    "train": "train a model that turns images into binary codes",
    "fit": "fit a model to a frozen backbone's features in seconds: PCA, ITQ, random projections",
    "encode": "turn images into an index of codes",
    "search": "show the images of an index that are nearest to a query",
    "serve": "a page and an HTTP API for indexes",
    "deduplicate": "list groups of near-duplicates in an index",
    "decide": "keep, remove or tell apart near-duplicates, in the index only",
    "remove": "remove items from an index",
    "compact": "make an index small again after many changes",
    "export": "write the codes of an index for FAISS, Parquet, PostgreSQL, NumPy, MATLAB, PDQ lists; a model as ONNX",
    "push": "upload a model to the Hugging Face hub, with a card",
    "import": "make an index of codes that another tool has written",
    "evaluate": "compute mAP with its bounds, curves and a report, from two indexes or from arrays",
    "report": "one file to look at and hand in: tables, curves, pictures of runs and indexes",
    "reproduce": "run a table of the paper and compare with the published numbers",
    "info": "describe this installation, or a model, an index, a run",
}
"""Command name = module -> one line of help, in reading order."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 success, 1 incomplete, 2 a mistake in the arguments or files, 70 a fault of vtsearch, 130 interrupted. An error
    is one line on standard error; for a fault of vtsearch it names a file with the details.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    with standard_streams():
        try:
            code = _run(name, rest)
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 (the boundary: nothing may leave it as a traceback)
            return conclude(error, name if name in COMMANDS else "", rest)
    return code


def _run(name: str, argv: list[str]) -> int:
    if not name:
        print(_help(), file=sys.stderr)
        return USAGE_ERROR
    if name in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if name == "--version":
        print(f"vtsearch {version('vtsearch')}")
        return 0
    if name not in COMMANDS:
        print(f"vtsearch: {_unknown(name)}", file=sys.stderr)
        return USAGE_ERROR
    _check_forced_isa()
    try:
        code: int = command_module(name).run(argv)
    except SystemExit as stop:  # how argparse ends --help and usage errors
        return stop.code if isinstance(stop.code, int) else 0
    return code


def command_module(name: str) -> Any:
    """The module of a command."""
    return importlib.import_module(f"vtsearch.cli.{name}_" if keyword.iskeyword(name) else f"vtsearch.cli.{name}")


def _check_forced_isa() -> None:
    """Refuse a ``VTSEARCH_ISA`` that this machine cannot run before the work begins.

    Raises:
        VtsearchError: naming those that it can run.
    """
    if os.environ.get("VTSEARCH_ISA"):
        try:
            _native.active_isa()
        except ValueError as reason:
            raise VtsearchError(str(reason)) from reason


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vtsearch COMMAND ...",
            "",
            "Learn short binary codes for images with Vision Transformers; rank, search and evaluate them.",
            "",
            *lines,
            "",
            "vtsearch COMMAND --help explains a command; vtsearch --version prints the version.",
            "exit codes: 0 success, 1 incomplete, 2 a mistake in the arguments or files, 70 a fault of vtsearch (the",
            "message names a file to send), 130 interrupted. VTSEARCH_DEBUG=1 shows where an error was raised.",
            "First time here?  vtsearch demo",
        ]
    )


def _unknown(name: str) -> str:
    hint = did_you_mean(name, COMMANDS) or f"choose from {', '.join(COMMANDS)}"
    return f"unknown command {printable(repr(name))}; {hint}"
