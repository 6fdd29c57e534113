"""One kind of parser for all commands: full flag names, an example under the help, errors of one line."""

from __future__ import annotations

import re
import sys
from argparse import RawDescriptionHelpFormatter
from difflib import get_close_matches
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
        flags = [flag for action in self._actions for flag in action.option_strings]
        print(f"{self.prog}: {house_style(message, flags)} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def house_style(message: str, flags: list[str]) -> str:
    """A message of jsonargparse in the words of our own: ``argument: expected ..., got ...``."""
    text = " ".join(message.split())
    if kind := re.fullmatch(r"""Parser key "(.+?)": Expected a <class '(\w+)'>\. Got value: (.*)""", text):
        return f"{kind[1]}: expected {_ARTICLES.get(kind[2], kind[2])}, got {kind[3]!r}"
    if choice := re.fullmatch(r'Parser key "(.+?)": Expected a typing\.Literal\[(.+)\]\. Got value: (.*)', text):
        return f"{choice[1]}: expected one of {choice[2].replace(chr(39), '')}, got {choice[3]!r}"
    if missing := re.fullmatch(r"the following arguments are required: (.+)", text):
        return f"{missing[1]}: expected a value, got nothing"
    if fewer := re.fullmatch(r"argument (\S+): expected (\w+) arguments?", text):
        return f"{fewer[1]}: expected {fewer[2]} {'value' if fewer[2] == 'one' else 'values'}, got fewer"
    if unknown := re.fullmatch(r"unrecognized arguments: (\S+).*", text, re.IGNORECASE):
        close = get_close_matches(unknown[1], flags, n=1)
        return f"{unknown[1]}: no such argument" + (f"; did you mean {close[0]}?" if close else "")
    return text


_ARTICLES = {"int": "an int", "float": "a number", "bool": "true or false", "str": "text"}
