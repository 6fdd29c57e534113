"""The command line: words, files and printing; no computation.

``vtsearch NAME ...`` imports ``vtsearch.cli.NAME`` and calls its ``run(argv)``, so that asking for help stays quick.
"""

from __future__ import annotations

import importlib
import os
import sys
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "demo": "train, encode, evaluate and picture a small example; no download, about a minute",
    "data": "list the protocols, check a copy of a data set, divide images of your own",
    "train": "train a model that turns images into binary codes",
    "encode": "turn images into an index of codes",
    "search": "show the images of an index that are nearest to a query",
    "deduplicate": "groups of near-duplicates in an index, and what could go",
    "evaluate": "mAP with its bounds, curves and a report, from two indexes or from arrays",
    "reproduce": "run a table of the paper, and set its numbers beside the published ones",
    "info": "describe this installation, or a model, an index, a run",
}
"""Command name = module -> one line of help, in reading order."""

USAGE_ERROR = 2
INTERRUPTED = 130
USER_ERRORS = (VtsearchError, ValueError, TypeError, OSError, ModuleNotFoundError)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command that the words name: 0 done, 2 a mistake in what was asked, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(_help(), file=sys.stderr)
        return USAGE_ERROR
    name, rest = words[0], words[1:]
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


def _run(name: str, words: list[str]) -> int:
    try:
        code: int = importlib.import_module(f"vtsearch.cli.{name}").run(words)
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
        print(f"vtsearch {name}: {one_line(error)}", file=sys.stderr)
        return USAGE_ERROR
    return code


def one_line(error: BaseException) -> str:
    """What went wrong, on one line: a system error as ``path: reason``, a missing module with its extra."""
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
    close = get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(COMMANDS)}"
    return f"unknown command {name!r}; {hint}"
