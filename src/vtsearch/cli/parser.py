"""The argument parser of all commands: hyphenated flags, an example under the help, one-line errors."""

from __future__ import annotations

import argparse
import os
import re
import sys
from argparse import HelpFormatter, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from vtsearch._printable import printable
from vtsearch.errors import did_you_mean

LONGEST_TEXT = 4096
"""Characters of an argument; no path is longer."""

LARGEST_INT = 2**63 - 1

PRINT_CONFIG = "--print-config"

WHERE = """only items for which this condition in SQL holds, on id, label and the columns of metadata that
`vtsearch info INDEX` lists, such as "label = 3 AND taken > '2024-06'\""""
"""Help of ``--where``."""


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
        self.color = False  # Python 3.14 would colour the help, and a command escapes control characters

    def parse_args(self, argv: Sequence[str], **kwargs: Any) -> Any:  # type: ignore[override]
        """Parse the arguments, in either spelling of the flags."""
        self._hyphenate()
        # jsonargparse recognizes this flag by its text, before the table of flags is read
        argv = [PRINT_CONFIG if argument == "--print_config" else argument for argument in argv]
        try:
            check_lengths(argv)
            args = super().parse_args(argv, **kwargs)
            check_values(args.items())
        except Exception as reason:
            if os.environ.get("VTSEARCH_DEBUG"):
                raise
            self.error(self._unread_file(argv) or str(reason))
        return args

    def _unread_file(self, argv: Sequence[str]) -> str | None:
        """The message about a file of values that could not be read, if one was given."""
        words = [part for word in argv for part in word.split("=", 1)]
        for flag, value in pairwise(words):
            action = self._option_string_actions.get(flag)
            if action is not None and type(action).__name__ == "_ActionConfigLoad" and Path(value).is_file():
                return f"{action.dest}: expected names and values in YAML, or a file of them, got {value!r}"
        return None

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
        line = printable(house_style(message, self.flags()))
        print(f"{self.prog}: {line} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


class FirstParser(argparse.ArgumentParser):
    """A parser of some arguments, before the others are known; its errors are ValueErrors in the house style."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise the message.

        Raises:
            ValueError: always.
        """
        raise ValueError(house_style(message, []))


def check_lengths(argv: Sequence[str]) -> None:
    """Refuse values of flags that are longer than any path, before they are read as YAML.

    Raises:
        ValueError: a value that is too long; names its flag.
    """
    flag = ""
    for word in argv:
        name, equals, value = word.partition("=") if word.startswith("--") else (flag, "", word)
        if name:
            _check_length(name, value)
        flag = word if word.startswith("-") and not equals else ""


def _check_length(name: str, value: str) -> None:
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{hyphenated(name)}: expected at most {LONGEST_TEXT:,} characters, got {len(value):,}")


def check_values(values: Iterable[tuple[str, Any]]) -> None:
    """Refuse what no option of any command can mean.

    Args:
        values: dotted names and values; lists are looked through.

    Raises:
        ValueError: a text that is blank, too long or has a NUL in it, an int beyond 64 bits, a number that is NaN.
    """
    for name, value in values:
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str) and (not part.strip() or "\0" in part):
                raise ValueError(f"{name}: expected text, got {part!r}")
            if isinstance(part, str):
                _check_length(name, part)
            if isinstance(part, int) and abs(part) > LARGEST_INT:
                raise ValueError(f"{name}: expected at most {LARGEST_INT} in size, got {short(part)}")
            if isinstance(part, float) and part != part:  # noqa: PLR0124 (NaN)
                raise ValueError(f"{name}: expected a number, got nan")


def short(number: int) -> str:
    """A number of many digits by its length: ``an int of 31 digits``."""
    digits = round(number.bit_length() * 0.30103)  # Python converts 4,300 digits at most
    return str(number) if digits < 20 else f"an int of about {digits} digits"


def hyphenated(flag: str) -> str:
    """The house spelling of a flag: ``--image_size=32`` -> ``--image-size=32``."""
    name, equals, value = flag.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else flag


def house_style(message: str, flags: list[str]) -> str:
    """A message of jsonargparse in the form of all others: ``argument: expected ..., got ...``."""
    text = " ".join(message.split())
    if unknown := re.fullmatch(r"unrecognized arguments: (\S+).*", text, re.IGNORECASE):
        return unknown_flag(unknown[1], flags)
    found = ((re.fullmatch(pattern, text), sentence) for pattern, sentence in _SENTENCES)
    return next((sentence(*match.groups()) for match, sentence in found if match), text)


def _either(types: str) -> str:
    """``<class 'int'>, <class 'NoneType'>`` in words."""
    names = re.findall(r"<class '(\w+)'>", types)
    return " or ".join(_ARTICLES.get(name, name) for name in names) or types


def unknown_flag(flag: str, known: list[str]) -> str:
    """The message about a flag that does not exist, with the closest one."""
    hint = did_you_mean(hyphenated(flag), known)
    return f"{flag}: no such argument" + (f"; {hint}" if hint else "")


_ARTICLES = {"int": "an int", "float": "a number", "bool": "true or false", "str": "text", "NoneType": "null"}

_SENTENCES: list[tuple[str, Callable[..., str]]] = [
    (
        r"""Parser key "(.+?)": Expected a <class '(\w+)'>\. Got value: (.*)""",
        lambda name, kind, got: f"{name}: expected {_ARTICLES.get(kind, kind)}, got {got!r}",
    ),
    (
        r'Parser key "(.+?)": Expected a typing\.Literal\[(.+)\]\. Got value: (.*)',
        lambda name, choices, got: f"{name}: expected one of {choices.replace(chr(39), '')}, got {got!r}",
    ),
    (
        r'Parser key "(.+?)": Does not validate .*Subtypes: \[(.+?)\] .*Given value: (.*)',
        lambda name, types, got: f"{name}: expected {_either(types)}, got {got!r}",
    ),
    (
        r"""Parser key "(.+?)": Unable to load config ['"](.*?)['"] - .*""",
        lambda name, got: f"{name}: expected names and values in YAML, or a file of them, got {got!r}",
    ),
    (r"Group '(.+?)' does not accept option '(.+?)'", lambda group, name: f"{group}.{name}: no such option"),
    (
        r"the following arguments are required: (.+)",
        lambda names: f"{names}: expected a value, got nothing",
    ),
    (
        r"argument (\S+): expected (\w+) arguments?",
        lambda name, count: f"{name}: expected {count} {'value' if count == 'one' else 'values'}, got fewer",
    ),
    (r"argument (\S+): ignored explicit argument (.+)", lambda name, got: f"{name}: expected no value, got {got}"),
]
"""Patterns of jsonargparse's messages, and the sentences in their place."""
