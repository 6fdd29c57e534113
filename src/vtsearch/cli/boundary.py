"""The end of every command: an error as one line and an exit code, and a file to send for one that nobody expected."""

from __future__ import annotations

import dis
import os
import platform
import re
import shlex
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

from vtsearch._printable import printable
from vtsearch.cli.streams import STDOUT
from vtsearch.errors import VtsearchError, extra_of, first_line, installed_version, missing_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE_ERROR, INTERNAL_ERROR, INTERRUPTED = 2, 70, 130
"""Exit codes: a mistake in the arguments or files; a fault of vtsearch (EX_SOFTWARE of sysexits.h); Ctrl-C."""

ISSUES = "https://github.com/vtsearch/vtsearch/issues"
_PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")
"""In an address, such as that of a database."""

LONGEST_LINE = 1000
"""Characters of a message; a longer one loses its middle."""

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
    return _print(name, _one_line(_internal_error(error, name, argv)), INTERNAL_ERROR)


def is_expected(error: BaseException) -> bool:
    """Whether an error is the user's to mend.

    It is if the system refused something, a package is missing, memory is short, or a ``raise`` statement of vtsearch
    raised it. What a library or the interpreter raises was not expected, whatever its class.
    """
    if isinstance(error, (VtsearchError, OSError)) or is_out_of_memory(error):
        return True
    if isinstance(error, ImportError):
        return not (error.name or "vtsearch").startswith("vtsearch")
    return not isinstance(error, AssertionError) and _is_raised_here(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory is short: torch has no common class for that."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def format_error(error: BaseException) -> str:
    """The message of an error on one line: a system error as ``path: reason``, a missing module with its extra."""
    return _one_line(_message(error))


def _message(error: BaseException) -> str:
    if is_out_of_memory(error):
        return f"needs more memory than there is ({first_line(error)})"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError) and error.name and extra_of(error.name):
        error = missing_extra(error.name)
    elif isinstance(error, ImportError) and error.name:
        return f"cannot import {error.name.partition('.')[0]} ({first_line(error)}); reinstall that package"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    # a line break in a message is layout, and in a name it is escaped
    return " ".join(str(error).split("\n")) or type(error).__name__


def _one_line(text: str) -> str:
    """A text that may be printed, on one line without its middle if it is long."""
    line = " ".join(printable(text).split())
    if len(line) <= LONGEST_LINE:
        return line
    half = LONGEST_LINE // 2
    return f"{line[:half]} ... {line[-half:]}"


def _is_raised_here(error: BaseException) -> bool:
    """Whether a ``raise`` statement in a module of vtsearch raised an error."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return module.startswith("vtsearch.") and dis.opname[instruction] == "RAISE_VARARGS"


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
