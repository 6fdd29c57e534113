"""One kind of parser for all commands: full flag names, an example under the help, errors of one line."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from typing import NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter


class _HelpFormatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the line breaks of examples."""


class CommandParser(ArgumentParser):
    """A parser whose errors are one line and a hint, exit code 2."""

    def __init__(self, name: str, description: str, example: str) -> None:
        """The parser of ``vtsearch name``; ``example`` is shown under its help."""
        super().__init__(
            prog=f"vtsearch {name}",
            description=description,
            epilog=f"example:\n{example}",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
            default_env=False,
        )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # noqa: ARG002 (jsonargparse's signature)
        """Print what was wrong and where help is, and exit with code 2."""
        print(f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)
