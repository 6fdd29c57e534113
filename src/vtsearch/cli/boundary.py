"""The end of every command: an error as one line and an exit code, and a file to send for one that nobody expected."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

from vtsearch._error_text import format_error, is_expected, one_line
from vtsearch.cli.streams import STDOUT
from vtsearch.errors import installed_version

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE_ERROR, INTERNAL_ERROR, INTERRUPTED = 2, 70, 130
"""Exit codes: a mistake in the arguments or files; a fault of vtsearch (EX_SOFTWARE of sysexits.h); Ctrl-C."""

ISSUES = "https://github.com/vtsearch/vtsearch/issues"
_PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")
"""In an address, such as that of a database."""

PACKAGES = ("vtsearch", "numpy", "jsonargparse", "torch", "torchvision", "timm", "accelerate", "pillow", "pyarrow")


def conclude(error: BaseException, name: str, argv: Sequence[str]) -> int:
    """Print the one line about an error that ended ``vtsearch name``, and return the exit code.

    Raises:
        BaseException: the error itself, if ``VTSEARCH_DEBUG`` is set; not for an interrupt or a closed pipe.
    """
    if isinstance(error, KeyboardInterrupt):
        return _print(name, "interrupted", INTERRUPTED)
    if isinstance(error, BrokenPipeError) and error.filename == STDOUT:
        return 0  # the reader (head, less) has seen enough
    if os.environ.get("VTSEARCH_DEBUG"):
        raise error
    if is_expected(error):
        return _print(name, format_error(error), USAGE_ERROR)
    return _print(name, one_line(_internal_error(error, name, argv)), INTERNAL_ERROR)


def _internal_error(error: BaseException, name: str, argv: Sequence[str]) -> str:
    said = str(error).partition("\n")[0]
    what = f"internal error: {type(error).__name__}: {said}"
    try:
        file = write_details(error, name, argv)
    except OSError as reason:
        return f"{what}; VTSEARCH_DEBUG=1 shows the details, please send them to {ISSUES} ({reason.strerror})"
    return f"{what}; the details are in {file}, please send it with the command to {ISSUES}"


def write_details(error: BaseException, name: str, argv: Sequence[str]) -> str:
    """Write command line, versions and traceback to a new file that only this user can read; returns its path.

    Nothing of the environment is written, nor the values of variables, nor the password in an address: all may hold
    secrets.

    Raises:
        OSError: no folder for temporary files, or a full one.
    """
    lines = [
        shlex.join(["vtsearch", name, *argv]),
        f"python {platform.python_version()}, {platform.platform()}",
        ", ".join(f"{package} {installed_version(package) or 'not installed'}" for package in PACKAGES),
        "",
        "".join(traceback.format_exception(error)),
    ]
    number, path = tempfile.mkstemp(prefix="vtsearch-error-", suffix=".txt")
    with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(_PASSWORD.sub(r"\1***@", "\n".join(lines)))
    return path


def _print(name: str, text: str, code: int) -> int:
    print(f"{f'vtsearch {name}'.strip()}: {text}", file=sys.stderr)
    return code
