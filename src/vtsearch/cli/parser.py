"""The argument parser of all commands: hyphenated flags, an example under the help, one-line errors."""

from __future__ import annotations

import re
import sys
from argparse import HelpFormatter, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from vtsearch.errors import did_you_mean

PRINT_CONFIG = "--print-config"


class _HelpFormatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Preserves the line breaks of examples."""


class CommandParser(ArgumentParser):
    """A parser with one-line errors, a hint and exit code 2.

    Flags are hyphenated (``--image-size``). The spelling of the Python names (``--image_size``) is accepted too.
    """

    def __init__(self, name: str, description: str, example: str) -> None:
        """The parser of ``vtsearch name``; ``example`` is shown under its help."""
        super().__init__(
            prog=f"vtsearch {name}",
            description=description,
            epilog=f"example:\n{example}",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
            default_env=False,
            print_config=PRINT_CONFIG,
        )

    def parse_args(self, argv: Sequence[str], **kwargs: Any) -> Any:  # type: ignore[override]
        """Parse the arguments, in either spelling of the flags."""
        self._hyphenate()
        # jsonargparse recognizes this flag by its text, before the table of flags is read
        argv = [PRINT_CONFIG if argument == "--print_config" else argument for argument in argv]
        return super().parse_args(argv, **kwargs)

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        """The help text, with hyphenated flags."""
        self._hyphenate()
        return super().format_help(formatter)

    def flags(self) -> list[str]:
        """All flags, hyphenated."""
        self._hyphenate()
        return [flag for action in self._actions for flag in action.option_strings]

    def _hyphenate(self) -> None:
        """Register both spellings of each flag; help and messages show the hyphenated one."""
        for action in self._actions:
            action.option_strings = [hyphenated(flag) for flag in action.option_strings]
            for flag in action.option_strings:
                spellings = (flag, f"--{flag[2:].replace('-', '_')}") if flag.startswith("--") else (flag,)
                self._option_string_actions.update(dict.fromkeys(spellings, action))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # noqa: ARG002 (jsonargparse's signature)
        """Print the message and the help command, and exit with code 2."""
        print(f"{self.prog}: {house_style(message, self.flags())} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def hyphenated(flag: str) -> str:
    """The house spelling of a flag: ``--image_size=32`` -> ``--image-size=32``."""
    name, equals, value = flag.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else flag


def house_style(message: str, flags: list[str]) -> str:
    """A message of jsonargparse in the form of all others: ``argument: expected ..., got ...``."""
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
        return unknown_flag(unknown[1], flags)
    return text


def unknown_flag(flag: str, known: list[str]) -> str:
    """The message about a flag that does not exist, with the closest one."""
    hint = did_you_mean(hyphenated(flag), known)
    return f"{flag}: no such argument" + (f"; {hint}" if hint else "")


_ARTICLES = {"int": "an int", "float": "a number", "bool": "true or false", "str": "text"}
