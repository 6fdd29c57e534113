"""The command line: arguments, files and output; no computation.

``vtsearch NAME ...`` imports ``vtsearch.cli.NAME`` and calls its ``run(argv)``, so that asking for help stays quick.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError, did_you_mean, missing_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "demo": "train, encode, evaluate and picture a small example; no download, about a minute",
    "data": "list the protocols, check a copy of a data set, split your own images",
    "train": "train a model that turns images into binary codes",
    "encode": "turn images into an index of codes",
    "search": "show the images of an index that are nearest to a query",
    "deduplicate": "list groups of near-duplicates in an index",
    "evaluate": "compute mAP with its bounds, curves and a report, from two indexes or from arrays",
    "reproduce": "run a table of the paper and compare with the published numbers",
    "info": "describe this installation, or a model, an index, a run",
}
"""Command name = module -> one line of help, in reading order."""

USAGE_ERROR = 2
INTERRUPTED = 130
USER_ERRORS = (VtsearchError, ValueError, TypeError, OSError, ModuleNotFoundError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 success, 1 incomplete, 2 usage error, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        print(_help(), file=sys.stderr)
        return USAGE_ERROR
    name, rest = arguments[0], arguments[1:]
    if name in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if name == "--version":
        print(f"vtsearch {version('vtsearch')}")
        return 0
    if name not in COMMANDS:
        print(f"vtsearch: {_unknown(name)}", file=sys.stderr)
        return USAGE_ERROR
    return _run(name, rest)


def _run(name: str, argv: list[str]) -> int:
    try:
        code: int = importlib.import_module(f"vtsearch.cli.{name}").run(argv)
        sys.stdout.flush()
    except SystemExit as stop:  # how argparse ends --help and usage errors
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        print(f"vtsearch {name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except USER_ERRORS as error:
        if os.environ.get("VTSEARCH_DEBUG"):
            raise
        print(f"vtsearch {name}: {format_error(error)}", file=sys.stderr)
        return USAGE_ERROR
    return code


def format_error(error: BaseException) -> str:
    """The message of an error on one line: a system error as ``path: reason``, a missing module with its extra."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        error = missing_extra(error.name)
    return " ".join(str(error).split()) or type(error).__name__


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
            "First time here?  vtsearch demo",
        ]
    )


def _unknown(name: str) -> str:
    hint = did_you_mean(name, COMMANDS) or f"choose from {', '.join(COMMANDS)}"
    return f"unknown command {name!r}; {hint}"
